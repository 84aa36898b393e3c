#include "phial/rag/answer_type.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <unordered_set>
#include <vector>

#include "phial/rag/lexical.h"

namespace phial::rag {
namespace {

using Words = std::unordered_set<std::string_view>;

Words words_in_list(std::string_view list) {
  const auto parts = parts_at_spaces(list);
  return {parts.begin(), parts.end()};
}

// Behind "how": what is counted or measured.
const Words& measures() {
  static const Words kWords = words_in_list(
      "many much old far high deep wide tall large big heavy fast long often few thick warm hot cold quickly "
      "soon viel viele alt weit hoch tief breit gro\u00DF schwer schnell lang lange oft dick warm kalt");
  return kWords;
}

const Words& prices() {
  static const Words kWords = words_in_list(
      "cost costs price prices salary wage wages fee fees fare rent premium deposit pay paid charge charged "
      "earn earns money worth budget revenue kostet kosten preis gehalt lohn geb\u00FChr miete kaution beitrag "
      "verdient");
  return kWords;
}

const Words& money_words() {
  static const Words kWords = words_in_list(
      "euro euros eur dollar dollars usd pound pounds gbp cent cents franc francs franken chf yen jpy yuan cny "
      "crowns free gratis kostenlos charge included");
  return kWords;
}

const Words& amounts() {
  static const Words kWords = words_in_list(
      "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
      "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand "
      "million billion half third quarter double twice once dozen both no none several few every each daily "
      "weekly monthly yearly hourly always never unlimited indefinitely permanently until ein eins eine einen "
      "zwei drei vier f\u00FCnf sechs sieben acht neun zehn elf zw\u00F6lf zwanzig drei\u00DFig vierzig "
      "f\u00FCnfzig hundert tausend million halb halbe doppelt einmal zweimal dreimal jeder jede jeden jedes "
      "t\u00E4glich w\u00F6chentlich monatlich j\u00E4hrlich immer nie kein keine unbegrenzt bis");
  return kWords;
}

const Words& ages() {
  static const Words kWords = words_in_list(
      "old age aged born birth birthday birthdate year years month months week weeks built founded since teenager "
      "toddler alt alter geboren geburt geburtstag jahre jahren j\u00E4hrig j\u00E4hriger j\u00E4hrige baujahr erbaut "
      "gegr\u00FCndet seit");
  return kWords;
}

const Words& times() {
  static const Words kWords = words_in_list(
      "january february march april may june july august september october november december jan feb mar apr "
      "jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday spring summer "
      "autumn fall winter today tomorrow yesterday noon midday midnight morning evening afternoon night day "
      "days week weeks weekend month months year years hour hours minute minutes second seconds century dawn "
      "dusk easter christmas before after during while when whenever if once as upon immediately soon end "
      "beginning start always never last next first januar februar m\u00E4rz mai juni juli oktober dezember "
      "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag fr\u00FChling sommer herbst heute "
      "morgen gestern mittag mitternacht abend nacht tag tage tagen woche wochen monat monate monaten jahr "
      "jahre jahren stunde stunden minuten jahrhundert ostern weihnachten vor nach w\u00E4hrend wenn falls "
      "sobald sofort ende anfang immer nie letzten n\u00E4chsten ersten");
  return kWords;
}

bool has_digit(std::string_view text) { return text.find_first_of("0123456789") != std::string_view::npos; }

// Digits with at most two signs of those between them that part the groups of a phone number.
bool has_phone_number(std::string_view text) {
  constexpr int kFewest = 5;
  constexpr std::string_view kJoints = " -/()";
  int digits = 0;
  int joints = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      if (++digits == kFewest) return true;
      joints = 0;
    } else if (joints < 2 && kJoints.find(c) != std::string_view::npos) {
      ++joints;
    } else {
      digits = 0;
    }
  }
  return false;
}

bool is_year(const Word& word) {
  return word.is_number && word.text.size() == 4 && (word.text[0] == '1' || word.text[0] == '2');
}

bool has_currency_sign(std::string_view text) {
  constexpr auto kSigns = std::to_array<std::string_view>({"$", "\u20AC", "\u00A3", "\u00A5"});
  return std::ranges::any_of(kSigns, [&](std::string_view sign) { return text.find(sign) != text.npos; });
}

// "9:30", "12.5.", "at 9", "9 Uhr".
bool has_clock_or_date(std::string_view text, const std::vector<Word>& words) {
  static const Words kBefore = words_in_list("at by from until till around about um ab bis gegen von zwischen");
  static const Words kBehind = words_in_list("am pm a p o uhr h st nd rd th");
  for (size_t i = 0; i < words.size(); ++i) {
    if (!words[i].is_number) continue;
    const size_t end = words[i].span.end;
    const bool is_joined =
        words[i].text.find('.') != std::string::npos ||
        (end + 1 < text.size() && std::string_view(":/-").find(text[end]) != std::string_view::npos &&
         text[end + 1] >= '0' && text[end + 1] <= '9');
    if (is_joined || is_year(words[i])) return true;
    if (i > 0 && kBefore.contains(words[i - 1].text)) return true;
    if (i + 1 < words.size() && kBehind.contains(words[i + 1].text)) return true;
  }
  return false;
}

// Whether a text that has a number names what is counted, too, or a unit or currency that may stand for it ("4 l").
bool names_counted(const std::vector<std::string>& counted, std::string_view text, const std::vector<Word>& words) {
  if (counted.empty() || has_currency_sign(text)) return true;
  constexpr size_t kLongestSymbol = 2;
  for (size_t i = 0; i < words.size(); ++i) {
    if (std::ranges::find(counted, rough_stem(words[i].text)) != counted.end()) return true;
    if (i > 0 && words[i - 1].is_number && !words[i].is_number && words[i].text.size() <= kLongestSymbol &&
        !is_stop_word(words[i].text)) {
      return true;
    }
  }
  return false;
}

class Question {
 public:
  explicit Question(std::string_view text) : words_(words_of(text)) {}

  ExpectedAnswer expected() const {
    const AnswerType wanted = type();
    return {wanted, wanted == AnswerType::kNumber ? counted() : std::vector<std::string>{}};
  }

 private:
  AnswerType type() const {
    if (asks_for_email()) return AnswerType::kEmail;
    if (asks_what() && (has_pair({"phone", "telephone", "mobile", "fax"}, {"number", "numbers"}) ||
                        has({"telefonnummer", "handynummer", "faxnummer"}))) {
      return AnswerType::kPhone;
    }
    if (has_pair({"what", "which", "welchem", "welches"}, {"year", "jahr"})) return AnswerType::kYear;
    // "At what time", "by when".
    if (within_first(2, {"when", "wann"}) ||
        (within_first(2, {"what", "which", "welchem", "welcher", "welches", "an"}) &&
         within_first(3, {"time", "date", "day", "month", "monat", "tag", "datum"}))) {
      return AnswerType::kTime;
    }
    const bool is_how = within_first(2, {"how", "wie"});
    const bool is_how_much = is_how && has_pair({"how", "wie"}, {"much", "viel"});
    if (has(prices()) && (is_how_much || within_first(1, {"what", "was"}) || has_pair({"wie"}, {"hoch"}))) {
      return AnswerType::kMoney;
    }
    if (has_pair({"how", "wie"}, {"long", "often", "soon", "quickly", "lang", "lange", "oft", "schnell"})) {
      return is_how ? AnswerType::kDuration : AnswerType::kAny;
    }
    if (is_how && has_pair({"how", "wie"}, {"old", "alt"})) return AnswerType::kAge;
    if (is_how && follows_how()) return AnswerType::kNumber;
    return asks_for_explanation() ? AnswerType::kExplanation : AnswerType::kAny;
  }

  static bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::ranges::find(list, word) != list.end();
  }

  bool has(std::initializer_list<std::string_view> list) const {
    return std::ranges::any_of(words_, [&](const Word& word) { return is_one_of(word.text, list); });
  }

  bool has(const Words& list) const {
    return std::ranges::any_of(words_, [&](const Word& word) { return list.contains(word.text); });
  }

  bool within_first(size_t count, std::initializer_list<std::string_view> list) const {
    return std::any_of(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(std::min(count, words_.size())),
                       [&](const Word& word) { return is_one_of(word.text, list); });
  }

  bool has_pair(std::initializer_list<std::string_view> first, std::initializer_list<std::string_view> second) const {
    return std::ranges::adjacent_find(words_, [&](const Word& a, const Word& b) {
             return is_one_of(a.text, first) && is_one_of(b.text, second);
           }) != words_.end();
  }

  bool asks_what() const { return within_first(2, {"what", "which", "whose", "was", "wie", "welche", "welcher"}); }

  // "What is her e-mail?", not "What did the e-mail say?".
  bool asks_for_email() const {
    if (words_.empty()) return false;
    const bool is_last = is_one_of(words_.back().text, {"email", "mail"});
    return asks_what() && (is_last || has_pair({"email", "mail"}, {"address", "addresses", "adresse"}));
  }

  bool asks_for_explanation() const {
    return within_first(2, {"why", "warum", "wieso", "weshalb", "wozu"}) ||
           (within_first(1, {"how", "wie"}) && words_.size() > 2) ||
           (within_first(1, {"what", "was"}) &&
            has({"caused", "causes", "happened", "happens", "passiert", "passierte"}));
  }

  // "How many points of light are ...": point, light.
  std::vector<std::string> counted() const {
    static const Words kAnything = words_in_list("people persons times things units leute personen menschen mal dinge");
    static const Words kEnds = words_in_list(
        "do does did is are was were can could may must will would should has have had there hat haben sind ist war "
        "waren kann k\u00F6nnen darf d\u00FCrfen gibt muss m\u00FCssen");
    std::vector<std::string> stems;
    size_t i = 0;
    while (i < words_.size() && !is_one_of(words_[i].text, {"many", "viele"})) ++i;
    for (++i; i < words_.size() && !kEnds.contains(words_[i].text); ++i) {
      if (kAnything.contains(words_[i].text)) return {};
      if (!is_stop_word(words_[i].text)) stems.push_back(rough_stem(words_[i].text));
    }
    return i < words_.size() ? stems : std::vector<std::string>{};  // without a verb it is no question of this form
  }

  bool follows_how() const {
    return std::ranges::adjacent_find(words_, [](const Word& a, const Word& b) {
             return is_one_of(a.text, {"how", "wie"}) && measures().contains(b.text);
           }) != words_.end();
  }

  std::vector<Word> words_;
};

}  // namespace

ExpectedAnswer expected_answer(std::string_view question) { return Question(question).expected(); }

bool can_answer(const ExpectedAnswer& expected, std::string_view text) {
  const std::vector<Word> words = words_of(text);
  const auto has = [&](const Words& list) {
    return std::ranges::any_of(words, [&](const Word& word) { return list.contains(word.text); });
  };
  switch (expected.type) {
    case AnswerType::kNumber:
      return (has_digit(text) || has(amounts())) && names_counted(expected.counted, text, words);
    case AnswerType::kAge:
      return (has_digit(text) || has(amounts())) && (has(ages()) || std::ranges::any_of(words, is_year));
    case AnswerType::kDuration:
      return has_digit(text) || has(amounts()) || has(times());
    case AnswerType::kMoney:
      return has_currency_sign(text) || has(money_words()) || (has_digit(text) && has(prices()));
    case AnswerType::kTime:
      return has(times()) || has_clock_or_date(text, words);
    case AnswerType::kYear:
      return std::ranges::any_of(words, is_year);
    case AnswerType::kPhone:
      return has_phone_number(text);
    case AnswerType::kEmail:
      return text.find('@') != std::string_view::npos;
    case AnswerType::kExplanation:
    case AnswerType::kAny:
      break;
  }
  return true;
}

}  // namespace phial::rag
