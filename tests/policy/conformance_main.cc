// Runs cases in OPA's form: conformance [--skips FILE] [--v0] [--plain] CASES.json|CASES.yaml...
// A module that ends in ".rego" is a file beside the cases. --plain: without optimisations.
// Exit 0: all pass or are listed as skipped (and then do fail); 1: not; 77: no such file.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "base/fd.h"
#include "policy/engine.h"
#include "policy/value/json.h"

namespace coffer::policy {
namespace {

struct Options {
  std::map<std::string, std::string> skips;  // "v1/folder: note" or "v1/folder" to reason
  bool optimise = true;
  bool v0 = false;
  std::filesystem::path folder;  // of the cases being run
};

bool flag(const Value& c, std::string_view key) {
  const Value* found = c.find(key);
  return found != nullptr && found->is_true();
}

std::string text(const Value& c, std::string_view key) {
  const Value* found = c.find(key);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

// As JSON readers see it: sets are arrays, keys are strings.
Value plain(const Value& value) { return *parse_json(to_json(value), "value"); }

Value sorted_arrays(const Value& bindings) {
  ObjectBuilder out;
  for (const Entry& entry : bindings.entries()) {
    if (entry.value.is_array()) {
      std::vector<Value> items(entry.value.items().begin(), entry.value.items().end());
      std::sort(items.begin(), items.end());
      out.add(entry.key, Value::array(std::move(items)));
    } else {
      out.add(entry.key, entry.value);
    }
  }
  return out.build();
}

struct Outcome {
  bool error = false;
  std::string message;
  Value rows;  // set of objects
};

Result<QueryResult> evaluate(const Value& c, RegoVersion version, const Options& options,
                             std::vector<std::string>& names) {
  EngineOptions engine_options;
  engine_options.version = version;
  engine_options.experimental_keywords = flag(c, "experimental_keywords");
  engine_options.optimise = options.optimise;
  Engine engine(engine_options);
  if (const Value* modules = c.find("modules"); modules != nullptr && modules->is_array()) {
    int number = 0;
    for (const Value& module : modules->items()) {
      std::string source(module.as_string());
      if (source.ends_with(".rego") && source.find('\n') == std::string::npos) {
        COFFER_TRY(source, read_file(options.folder / source));
      }
      COFFER_TRY_VOID(engine.add_module(fmt::format("test-{}.rego", number++), std::move(source)));
    }
  }
  COFFER_TRY(auto policy, engine.compile());
  Evaluator evaluator(policy);
  Value input;
  if (const Value* given = c.find("input"); given != nullptr) input = *given;
  if (const std::string term = text(c, "input_term"); !term.empty()) {
    COFFER_TRY(auto query, evaluator.prepare("x = " + term));
    COFFER_TRY(auto result, evaluator.query(query, Value::empty_object(), Value()));
    if (!result.rows.empty()) input = result.rows.front().values.front();
  }
  const Value* data = c.find("data");
  COFFER_TRY(auto query,
             evaluator.prepare(text(c, "query"),
                               {.version = version,
                                .experimental_keywords = engine_options.experimental_keywords}));
  EvalOptions eval_options;
  eval_options.strict_builtin_errors = flag(c, "strict_error");
  COFFER_TRY(
      auto result,
      evaluator.query(query, data == nullptr || !data->is_object() ? Value::empty_object() : *data,
                      input, eval_options));
  names = result.variables;
  return result;
}

Outcome run(const Value& c, RegoVersion version, const Options& options) {
  std::vector<std::string> names;
  const auto result = evaluate(c, version, options, names);
  if (!result) return {true, result.error().to_string(), {}};
  std::vector<Value> rows;
  for (const Row& row : result->rows) {
    ObjectBuilder bindings;
    for (std::size_t i = 0; i < row.variables; ++i) bindings.add(names[i], row.values[i]);
    // Some sets ask for a bare reference and call its value x.
    if (row.variables == 0 && !row.values.empty() &&
        text(c, "query").find('=') == std::string::npos)
      bindings.add("x", row.values.back());
    Value object = plain(bindings.build());
    rows.push_back(flag(c, "sort_bindings") ? sorted_arrays(object) : object);
  }
  return {false, "", Value::set(std::move(rows))};
}

std::string judge(const Value& c, const Outcome& outcome) {
  const Value* want = c.find("want_result");
  const std::string code = text(c, "want_error_code");
  const std::string message = text(c, "want_error");
  const bool want_error = !code.empty() || !message.empty();
  if (want_error) {
    if (!outcome.error)
      return "want error " + code + " " + message + ", got " + to_json(outcome.rows);
    if (outcome.message.find(code) == std::string::npos ||
        outcome.message.find(message) == std::string::npos)
      return "want error " + code + " " + message + ", got error " + outcome.message;
    return "";
  }
  if (outcome.error) return "unexpected error: " + outcome.message;
  std::vector<Value> rows;
  if (want != nullptr && want->is_array()) {
    for (const Value& row : want->items())
      rows.push_back(flag(c, "sort_bindings") && row.is_object() ? sorted_arrays(row) : row);
  }
  const Value expected = Value::set(std::move(rows));
  if (expected == outcome.rows) return "";
  return "want " + to_json(expected) + ", got " + to_json(outcome.rows);
}

void read_skips(const std::string& path, Options& options) {
  const auto content = read_file(path);
  if (!content) return;
  std::string_view rest = *content;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t bar = line.rfind(" | ");
    if (line.empty() || line.front() == '#' || bar == std::string_view::npos) continue;
    options.skips.emplace(line.substr(0, bar), line.substr(bar + 3));
  }
}

int run_file(const std::string& path, Options& options) {
  options.folder = std::filesystem::path(path).parent_path();
  const bool yaml = path.ends_with(".yaml");
  const auto content = read_file(path);
  if (!content) {
    fmt::print("skipped: {}\n", content.error().to_string());
    return 77;
  }
  const auto document = yaml ? parse_yaml(*content, path) : parse_json(*content, path);
  if (!document) {
    fmt::print("{}\n", document.error().to_string());
    return 1;
  }
  const Value* version_field = document->find("rego_version");
  const bool v0 = options.v0 || (version_field != nullptr && version_field->small_int() == 0);
  const std::string folder =
      yaml ? options.folder.filename().string() + "/" + std::filesystem::path(path).stem().string()
           : std::string(v0 ? "v0/" : "v1/") + text(*document, "folder");
  int passed = 0;
  int skipped = 0;
  int failed = 0;
  for (const Value& c : document->find("cases")->items()) {
    const std::string note = text(c, "note");
    const std::string why = judge(c, run(c, v0 ? RegoVersion::kV0 : RegoVersion::kV1, options));
    const bool listed =
        options.skips.contains(folder) || options.skips.contains(folder + ": " + note);
    if (why.empty()) {
      ++passed;
    } else if (listed) {
      ++skipped;
    } else {
      ++failed;
      fmt::print("FAIL {}: {}\n  {}\n", folder, note, why);
    }
  }
  fmt::print("{}: {} passed, {} skipped, {} failed\n", folder, passed, skipped, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::policy

int main(int argc, char** argv) {
  coffer::policy::Options options;
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--skips" && i + 1 < argc) {
      coffer::policy::read_skips(argv[++i], options);
    } else if (arg == "--v0") {
      options.v0 = true;
    } else if (arg == "--plain") {
      options.optimise = false;
    } else {
      status = std::max(status, coffer::policy::run_file(arg, options));
    }
  }
  return status;
}
