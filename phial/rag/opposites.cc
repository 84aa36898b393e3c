#include "phial/rag/opposites.h"

#include <array>
#include <unordered_map>
#include <vector>

#include "phial/rag/lexical.h"

namespace phial::rag {
namespace {

// Every word of one side is opposed to every word of the other. Only words that nearly always are: "induce" and
// "block", "susceptible" and "resistant" are not here, since on SciFact's train claims they part as many statements
// that agree as ones that do not.
struct Axis {
  std::string_view one, other;
};
constexpr auto kAxes = std::to_array<Axis>({
    {"increase raise elevate rise rose risen upregulate upregulation",
     "decrease reduce reduction lower fall fell drop decline diminish downregulate downregulation"},
    {"grow", "shrink"},
    {"high higher highest", "low lower lowest"},
    {"more", "less fewer"},
    {"most", "least fewest"},
    {"great greater greatest large larger largest big bigger biggest", "small smaller smallest"},
    {"longer longest", "short shorter shortest"},
    {"strong stronger strongest", "weak weaker weakest"},
    {"strengthen", "weaken"},
    {"improve", "worsen impair"},
    {"enhance", "impair inhibit suppress reduce decrease diminish attenuate"},
    {"amplify", "attenuate reduce diminish"},
    {"promote activate activation stimulate stimulation", "inhibit inhibition suppress suppression repress prevent"},
    {"activate activation", "deactivate deactivation inactivate inactivation"},
    {"facilitate", "inhibit prevent impede hinder"},
    {"enable", "disable prevent"},
    {"allow permit", "prevent forbid prohibit deny"},
    {"allowed permitted", "forbidden"},
    {"accept", "reject refuse"},
    {"include", "exclude"},
    {"positive", "negative"},
    {"presence present", "absence absent"},
    {"early earlier earliest", "late later latest"},
    {"fast faster fastest quick quicker", "slow slower slowest"},
    {"accelerate", "delay slow decelerate"},
    {"begin start open", "end stop close"},
    {"beneficial", "harmful"},
    {"benefit protect", "harm"},
    {"dependent", "independent"},
    {"dependence", "independence"},
    {"resistant resistance", "sensitive sensitivity"},
    {"required necessary mandatory essential", "dispensable optional unnecessary"},
    {"succeed success successful", "failure unsuccessful"},
    {"safe", "dangerous unsafe"},
    {"effective efficient", "ineffective inefficient"},
    {"sufficient", "insufficient"},
    {"stable", "unstable"},
    {"possible", "impossible"},
    {"legal", "illegal"},
    {"valid", "invalid"},
    {"maximum maximal maximize", "minimum minimal minimize"},
    {"gain win won", "loss lose lost"},
    {"old older oldest", "young younger youngest new newer newest"},
    {"hot hotter warm warmer", "cold colder cool cooler"},
    {"internal inside inner", "external outside outer"},
    {"above", "below"},
    {"left", "right"},
    {"first", "last"},
    {"true", "false"},
    {"cheap cheaper", "expensive"},
    {"easy easier", "hard harder difficult"},
    {"support favor favour", "oppose"},
    {"alive", "dead"},
    {"public", "private"},
    // German
    {"steigt steigen stieg erhöht erhöhen vergrößert", "sinkt sinken sank senkt senken verringert vermindert"},
    {"mehr", "weniger"},
    {"höher hoch", "niedriger niedrig tiefer"},
    {"größer groß", "kleiner klein"},
    {"länger lang", "kürzer kurz"},
    {"früher früh", "später spät"},
    {"schneller schnell", "langsamer langsam"},
    {"erlaubt zulässig", "verboten unzulässig"},
    {"möglich", "unmöglich"},
    {"positiv", "negativ"},
    {"links", "rechts"},
    {"oben", "unten"},
    {"innen", "außen"},
    // French and Spanish
    {"augmente augmenter", "diminue diminuer réduit réduire"},
    {"supérieur", "inférieur"},
    {"autorisé permis", "interdit"},
    {"gauche", "droite"},
    {"aumenta aumentar", "disminuye disminuir reduce reducir"},
    {"mayor", "menor"},
    {"permitido", "prohibido"},
    {"izquierda", "derecha"},
    // Chinese and Japanese
    {"增加 提高 上升", "减少 降低 下降"},
    {"允许", "禁止"},
    {"增加 上昇", "減少 低下"},
    {"許可", "禁止"},
});

using Table = std::unordered_map<std::string, std::vector<std::string>>;

Table make_table() {
  Table table;
  for (const Axis& axis : kAxes) {
    const std::vector<std::string> one = content_words(axis.one);
    const std::vector<std::string> other = content_words(axis.other);
    for (const std::string& a : one) {
      for (const std::string& b : other) {
        table[a].push_back(b);
        table[b].push_back(a);
      }
    }
  }
  return table;
}

}  // namespace

std::span<const std::string> opposites_of(std::string_view stem) {
  static const Table kTable = make_table();
  const auto found = kTable.find(std::string(stem));
  return found == kTable.end() ? std::span<const std::string>() : std::span<const std::string>(found->second);
}

}  // namespace phial::rag
