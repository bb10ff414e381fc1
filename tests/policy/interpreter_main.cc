// Runs cases in regorus's form: interpreter [--skips FILE] [--parse] CASES.yaml...
// --parse: only whether the text is accepted. What an error says is the other engine's own; that
// there is one is what counts. Exit 0: all as wanted; 1: not; 77: no such file.
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/fd.h"
#include "policy/engine.h"
#include "policy/value/json.h"

namespace coffer::policy {
namespace {

using Skips = std::map<std::string, std::string>;

// `set!: [...]` is a set, `object!: [{key, value}]` an object with any keys.
Value special(const Value& value) {
  if (value.is_array()) {
    std::vector<Value> items;
    for (const Value& item : value.items()) items.push_back(special(item));
    return Value::array(std::move(items));
  }
  if (!value.is_object()) return value;
  if (value.size() == 1) {
    if (const Value* set = value.find("set!"); set != nullptr && set->is_array()) {
      std::vector<Value> items;
      for (const Value& item : set->items()) items.push_back(special(item));
      return Value::set(std::move(items));
    }
    if (const Value* object = value.find("object!"); object != nullptr && object->is_array()) {
      ObjectBuilder out;
      for (const Value& pair : object->items())
        out.add(special(*pair.find("key")), special(*pair.find("value")));
      return out.build();
    }
  }
  ObjectBuilder out;
  for (const Entry& entry : value.entries()) out.add(entry.key, special(entry.value));
  return out.build();
}

std::vector<Value> many(const Value* value) {
  if (value == nullptr) return {Value()};
  if (value->is_object())
    if (const Value* list = value->find("many!"); list != nullptr)
      return {list->items().begin(), list->items().end()};
  return {*value};
}

struct Answer {
  std::string error;
  std::vector<Value> values;    // of the last expression, a row each
  std::vector<Value> bindings;  // objects
  std::vector<Value> rows;      // all expressions, as arrays
};

Answer evaluate(const Value& c, RegoVersion version) {
  Answer out;
  Engine engine({.version = version});
  if (const Value* modules = c.find("modules"); modules != nullptr && modules->is_array()) {
    int number = 0;
    for (const Value& module : modules->items()) {
      const auto added =
          engine.add_module(fmt::format("case_{}.rego", ++number), std::string(module.as_string()));
      if (!added) return {added.error().to_string(), {}, {}, {}};
    }
  }
  const auto policy = engine.compile();
  if (!policy) return {policy.error().to_string(), {}, {}, {}};
  Evaluator evaluator(*policy);
  const Value* query_text = c.find("query");
  const auto query = evaluator.prepare(
      query_text == nullptr ? "data" : std::string(query_text->as_string()), {.version = version});
  if (!query) return {query.error().to_string(), {}, {}, {}};
  EvalOptions options;
  const Value* strict = c.find("strict");
  options.strict_builtin_errors =
      strict == nullptr ? c.find("error") != nullptr : strict->is_true();
  Value data = Value::empty_object();
  for (const Value& document : many(c.find("data")))
    if (document.is_object()) data = special(document);
  for (const Value& input : many(c.find("input"))) {
    const auto result = evaluator.query(*query, data, special(input), options);
    if (!result) return {result.error().to_string(), {}, {}, {}};
    for (const Row& row : result->rows) {
      out.values.push_back(row.values.back());
      ObjectBuilder bindings;
      for (std::size_t i = 0; i < row.variables; ++i)
        bindings.add(result->variables[i], row.values[i]);
      out.bindings.push_back(bindings.build());
      out.rows.push_back(Value::array(
          {row.values.begin() + static_cast<std::ptrdiff_t>(row.variables), row.values.end()}));
    }
  }
  return out;
}

Value plain(const Value& value) { return *parse_json(to_json(value), "value"); }

bool same(const std::vector<Value>& got, const std::vector<Value>& want) {
  if (got.size() != want.size()) return false;
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(got[i] == special(want[i])) && !(plain(got[i]) == plain(special(want[i])))) return false;
  return true;
}

std::string show(const std::vector<Value>& values) {
  std::string out;
  for (const Value& value : values) out += " " + to_rego(value);
  return out.empty() ? " nothing" : out;
}

std::string judge(const Value& c, const Answer& answer) {
  if (const Value* error = c.find("error"); error != nullptr)
    return answer.error.empty()
               ? "want an error: " + to_display(*error) + ", got" + show(answer.values)
               : "";
  if (!answer.error.empty()) return "unexpected error: " + answer.error;
  const Value* none = c.find("no_result");
  if (none != nullptr && none->is_true())
    return answer.values.empty() ? "" : "want nothing, got" + show(answer.values);
  const std::vector<Value> want = many(c.find("want_result"));
  if (same(answer.values, want) || same(answer.bindings, want) || same(answer.rows, want))
    return "";
  return "want" + show(want) + ", got" + show(answer.values);
}

std::string judge_text(const Value& c) {
  const Value* text = c.find("rego");
  if (text == nullptr || !text->is_string()) return "";
  bool accepted = false;
  std::string why;
  for (const RegoVersion version : {RegoVersion::kV0, RegoVersion::kV1}) {
    const auto module =
        parse_module("case.rego", std::string(text->as_string()), {.version = version});
    accepted = accepted || module.has_value();
    if (!module && version == RegoVersion::kV0) why = module.error().to_string();
  }
  const bool want = c.find("error") == nullptr;
  if (accepted == want) return "";
  return want ? "should be accepted: " + why : "should be refused";
}

int run_file(const std::string& path, const Skips& skips, bool parse_only) {
  const auto content = read_file(path);
  if (!content) return 77;
  const auto document = parse_yaml(*content, path);
  if (!document) {
    fmt::print("{}\n", document.error().to_string());
    return 1;
  }
  const std::filesystem::path file(path);
  const std::string folder = file.parent_path().filename().string() + "/" + file.stem().string();
  const RegoVersion version =
      file.filename() == "bindings.yaml" ? RegoVersion::kV1 : RegoVersion::kV0;
  int passed = 0;
  int skipped = 0;
  int failed = 0;
  for (const Value& c : document->find("cases")->items()) {
    const std::string note = c.find("note") == nullptr ? "?" : to_display(*c.find("note"));
    const Value* skip = c.find("skip");
    if (skip != nullptr && skip->is_true()) {
      ++skipped;
      continue;
    }
    const std::string why = parse_only ? judge_text(c) : judge(c, evaluate(c, version));
    if (why.empty()) {
      ++passed;
    } else if (skips.contains(folder) || skips.contains(folder + ": " + note)) {
      ++skipped;
    } else {
      ++failed;
      fmt::print("FAIL {}: {}\n  {}\n", folder, note, why);
    }
  }
  fmt::print("{}: {} passed, {} skipped, {} failed\n", folder, passed, skipped, failed);
  return failed == 0 ? 0 : 1;
}

Skips read_skips(const std::string& path) {
  Skips out;
  const auto content = read_file(path);
  if (!content) return out;
  std::string_view rest = *content;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t bar = line.rfind(" | ");
    if (!line.starts_with('#') && bar != std::string_view::npos)
      out.emplace(line.substr(0, bar), line.substr(bar + 3));
  }
  return out;
}

}  // namespace
}  // namespace coffer::policy

int main(int argc, char** argv) {
  coffer::policy::Skips skips;
  bool parse_only = false;
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--skips" && i + 1 < argc) {
      skips = coffer::policy::read_skips(argv[++i]);
    } else if (arg == "--parse") {
      parse_only = true;
    } else {
      status = std::max(status, coffer::policy::run_file(arg, skips, parse_only));
    }
  }
  return status;
}
