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
      "sobald sofort ende anfang immer nie letzten n\u00E4chsten ersten mon tue tues wed thu thur thurs "
      "fri sat sun weekday daily weekly werktags t\u00E4glich");
  return kWords;
}

// "At nine", "half past six", "um neun", "bis halb acht": a number alone is not of a clock.
bool names_clock_time(const std::vector<Word>& words) {
  static const Words kBefore = words_in_list("at until till past um ab bis");
  static const Words kHours = words_in_list(
      "one two three four five six seven eight nine ten eleven twelve half quarter eins zwei drei vier f\u00FCnf sechs "
      "sieben acht neun zehn elf zw\u00F6lf halb viertel");
  return std::ranges::adjacent_find(words, [](const Word& a, const Word& b) {
           return kBefore.contains(a.text) && kHours.contains(b.text);
         }) != words.end();
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

bool has_currency_sign(std::string_view text) {
  constexpr auto kSigns = std::to_array<std::string_view>({"$", "\u20AC", "\u00A3", "\u00A5"});
  return std::ranges::any_of(kSigns, [&](std::string_view sign) { return text.find(sign) != text.npos; });
}

class Question {
 public:
  explicit Question(std::string_view text) : words_(words_of(text)) {}

  AnswerType type() const {
    if (asks_for_email()) return AnswerType::kEmail;
    if (asks_what() && (has_pair({"phone", "telephone", "mobile", "fax"}, {"number", "numbers"}) ||
                        has({"telefonnummer", "handynummer", "faxnummer"}))) {
      return AnswerType::kPhone;
    }
    // "At what time", "by when", "in which year".
    if (within_first(2, {"when", "wann"}) ||
        (within_first(2, {"what", "which", "welchem", "welcher", "welches", "an"}) &&
         within_first(3, {"time", "date", "day", "year", "month", "jahr", "monat", "tag", "datum"}))) {
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
    if (is_how && follows_how()) return AnswerType::kNumber;
    return asks_for_explanation() ? AnswerType::kExplanation : AnswerType::kAny;
  }

 private:
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
           begins_with({"how"}, {"do", "does", "did", "can", "could", "should", "to", "must"}) ||
           begins_with({"wie"}, {"kann", "muss", "soll", "wird", "werden", "funktioniert", "geht", "man"}) ||
           begins_with({"what"}, {"caused", "causes", "happened", "happens"}) ||
           begins_with({"was"}, {"passiert", "passierte"});
  }

  bool begins_with(std::initializer_list<std::string_view> first,
                   std::initializer_list<std::string_view> second) const {
    return words_.size() > 1 && is_one_of(words_[0].text, first) && is_one_of(words_[1].text, second);
  }

  bool follows_how() const {
    return std::ranges::adjacent_find(words_, [](const Word& a, const Word& b) {
             return is_one_of(a.text, {"how", "wie"}) && measures().contains(b.text);
           }) != words_.end();
  }

  std::vector<Word> words_;
};

}  // namespace

AnswerType answer_type_of(std::string_view question) { return Question(question).type(); }

bool can_answer(AnswerType type, std::string_view text) {
  const std::vector<Word> words = words_of(text);
  // "Tuesdays" is "Tuesday", and "dienstags" "Dienstag".
  const auto is_in = [](const Words& list, std::string_view word) {
    return list.contains(word) || (word.ends_with('s') && list.contains(word.substr(0, word.size() - 1)));
  };
  const auto has = [&](const Words& list) {
    return std::ranges::any_of(words, [&](const Word& word) { return is_in(list, word.text); });
  };
  switch (type) {
    case AnswerType::kNumber:
      return has_digit(text) || has(amounts());
    case AnswerType::kDuration:
      return has_digit(text) || has(amounts()) || has(times());
    case AnswerType::kMoney:
      return has_currency_sign(text) || has(money_words()) || (has_digit(text) && has(prices()));
    case AnswerType::kTime:
      return has_digit(text) || has(times()) || names_clock_time(words);
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
