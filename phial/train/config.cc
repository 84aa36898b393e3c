// toml++ without exceptions. It takes any malformed text without harm: it is fuzzed by its own project, and a training
// configuration is a file of the person who runs it.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include "phial/train/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace phial::train {
namespace {

const ConfigField* find(const std::vector<ConfigField>& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &ConfigField::name);
  return found == fields.end() ? nullptr : &*found;
}

Error unknown(std::string_view name, const std::string& where, const std::vector<ConfigField>& fields) {
  const std::string_view last = name.substr(name.find_last_of('.') + 1);
  std::string remedy = "--fields lists them";
  for (const ConfigField& field : fields) {
    if (field.name.ends_with("." + std::string(last))) remedy = "did you mean '" + field.name + "'?";
  }
  return {Code::kInvalid, where + "there is no field '" + std::string(name) + "'", remedy};
}

Error wrong(const ConfigField& field, const std::string& where, const std::string& wanted) {
  return {Code::kInvalid, where + "'" + field.name + "' is to be " + wanted, field.help};
}

std::string shortest(double value) { return dump_json(Json(value)); }

Status check_limits(const ConfigField& field, const std::string& where, double value) {
  if (!std::isfinite(value)) return wrong(field, where, "a finite number");
  if (field.least && value < *field.least) return wrong(field, where, "at least " + shortest(*field.least));
  if (field.most && value > *field.most) return wrong(field, where, "at most " + shortest(*field.most));
  return ok();
}

Status put(const ConfigField& field, const std::string& where, const toml::node& node) {
  return std::visit(
      [&](auto* target) -> Status {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, bool>) {
          const auto value = node.value_exact<bool>();
          if (!value) return wrong(field, where, "true or false");
          *target = *value;
        } else if constexpr (std::is_same_v<T, int64_t>) {
          const auto value = node.value_exact<int64_t>();
          if (!value) return wrong(field, where, "a whole number");
          PHIAL_CHECKED(check_limits(field, where, static_cast<double>(*value)));
          *target = *value;
        } else if constexpr (std::is_same_v<T, double>) {
          const auto value = node.is_integer() ? node.value<double>() : node.value_exact<double>();
          if (!value) return wrong(field, where, "a number");
          PHIAL_CHECKED(check_limits(field, where, *value));
          *target = *value;
        } else if constexpr (std::is_same_v<T, std::string>) {
          const auto value = node.value_exact<std::string>();
          if (!value) return wrong(field, where, "a text");
          if (!field.choices.empty() && std::ranges::find(field.choices, *value) == field.choices.end()) {
            std::string all;
            for (const std::string& choice : field.choices) all += (all.empty() ? "" : ", ") + choice;
            return wrong(field, where, "one of " + all);
          }
          *target = *value;
        } else {
          using Item = typename T::value_type;
          const std::string wanted = std::is_same_v<Item, double> ? "a list of numbers" : "a list of texts";
          const toml::array* array = node.as_array();
          if (array == nullptr) return wrong(field, where, wanted);
          T values;
          for (const toml::node& item : *array) {
            const auto value =
                item.is_integer() && std::is_same_v<Item, double> ? item.value<Item>() : item.value_exact<Item>();
            if (!value) return wrong(field, where, wanted);
            if constexpr (std::is_same_v<Item, double>) PHIAL_CHECKED(check_limits(field, where, *value));
            values.push_back(*value);
          }
          *target = std::move(values);
        }
        return ok();
      },
      field.target);
}

// Fields of `table`, whose own name is `prefix` ("optimizer.").
Status put_table(const std::vector<ConfigField>& fields, const toml::table& table, const std::string& prefix,
                 std::string_view named) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const std::string where =
        named.empty() ? "" : std::string(named) + ", line " + std::to_string(key.source().begin.line) + ": ";
    const ConfigField* field = find(fields, name);
    if (field != nullptr) {
      PHIAL_CHECKED(put(*field, where, node));
      continue;
    }
    const bool is_group =
        std::ranges::any_of(fields, [&](const ConfigField& f) { return f.name.starts_with(name + "."); });
    if (!is_group || !node.is_table()) return unknown(name, where, fields);
    PHIAL_CHECKED(put_table(fields, *node.as_table(), name + ".", named));
  }
  return ok();
}

std::string with_help(const ConfigField& field) {
  std::string out = "# " + field.help;
  for (size_t i = 0; i < field.choices.size(); ++i) out += (i == 0 ? " (" : ", ") + field.choices[i];
  out += field.choices.empty() ? "\n" : ")\n";
  // What JSON writes of these kinds is TOML as well.
  std::visit(
      [&](const auto* target) {
        out += field.name.substr(field.name.find_last_of('.') + 1) + " = " + dump_json(Json(*target)) + "\n";
      },
      field.target);
  return out;
}

}  // namespace

ConfigField& ConfigFields::add(std::string name, ConfigTarget target, std::string help) {
  return fields_.emplace_back(ConfigField{std::move(name), std::move(help), target});
}

Status ConfigFields::read_toml(std::string_view text, std::string_view named) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return Error{Code::kInvalid,
                 std::string(named) + ", line " + std::to_string(parsed.error().source().begin.line) + ": " +
                     std::string(parsed.error().description()),
                 "see docs/training.md for an example"};
  }
  return put_table(fields_, parsed.table(), "", named);
}

Status ConfigFields::set(std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    return Error{Code::kInvalid, "'" + std::string(assignment) + "' gives no value", "write it as FIELD=VALUE"};
  }
  std::string_view name = assignment.substr(0, equals);
  while (name.ends_with(' ')) name.remove_suffix(1);
  const ConfigField* field = find(fields_, name);
  if (field == nullptr) return unknown(name, "", fields_);
  const std::string value(assignment.substr(equals + 1));
  toml::parse_result parsed = toml::parse("value = " + value);
  const bool wants_text = std::holds_alternative<std::string*>(field->target);
  if (!parsed || (wants_text && !parsed.table()["value"].is_string())) {
    if (!wants_text) return wrong(*field, "", "a value that '" + value + "' is not");
    toml::table table;
    table.insert("value", value);
    return put(*field, "", *table.get("value"));
  }
  return put(*field, "", *parsed.table().get("value"));
}

Json ConfigFields::values() const {
  Json all = Json::object();
  for (const ConfigField& field : fields_) {
    std::visit([&](const auto* target) { all[field.name] = *target; }, field.target);
  }
  return all;
}

std::string ConfigFields::toml() const {
  const auto group_of = [](const ConfigField& field) { return field.name.substr(0, field.name.find_last_of('.')); };
  std::vector<std::string> groups;
  for (const ConfigField& field : fields_) {
    if (std::ranges::find(groups, group_of(field)) == groups.end()) groups.push_back(group_of(field));
  }
  std::string out;
  for (const std::string& group : groups) {
    out += (out.empty() ? "[" : "\n[") + group + "]\n";
    for (const ConfigField& field : fields_) {
      if (group_of(field) == group) out += with_help(field);
    }
  }
  return out;
}

}  // namespace phial::train
