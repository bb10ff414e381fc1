#include "cli/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>

#include "base/fd.h"
#include "cli/policy_profile.h"
#include "policy/engine.h"
#include "policy/syntax/format.h"
#include "policy/value/json.h"

namespace coffer::cli {
namespace {

using policy::EngineOptions;
using policy::RegoVersion;
using policy::Value;

constexpr std::string_view kEvalUsage = "policy eval [OPTION]... QUERY";
constexpr std::string_view kEvalHelp =
    "Evaluates a Rego query over policies and data, as `opa eval` does. Documents in a folder lie "
    "below the\nnames of its subfolders. '-' is standard input: a policy after -d, JSON after "
    "-i.\n\n"
    "example: coffer policy eval -d policy.rego -d data.json -i input.json 'data.example.allow'";
constexpr std::string_view kCheckUsage = "policy check [OPTION]... FILE...";
constexpr std::string_view kCheckHelp =
    "Compiles policies and reports what is wrong with them.\n\nexample: coffer policy check p.rego";

struct EvalSettings {
  std::vector<std::string> data;
  std::string input;
  std::string format = "json";
  bool v0 = false;
  bool strict = false;
  bool profile = false;
  bool fail_if_undefined = false;
};

class PrintToStderr : public policy::PrintSink {
 public:
  void print(const policy::Location& where, std::string_view line) override {
    fmt::print(stderr, "{}: {}\n", policy::place(where), line);
  }
};

bool has_extension(const std::filesystem::path& path, std::string_view extension) {
  return path.extension().string() == extension;
}

// A file, or with "-" standard input.
Result<std::string> read_text(const std::string& name) {
  return read_file(name == "-" ? "/dev/stdin" : name);
}

Result<Value> read_document(const std::filesystem::path& path) {
  COFFER_TRY(const std::string text, read_text(path.string()));
  const bool yaml = has_extension(path, ".yaml") || has_extension(path, ".yml");
  return yaml ? policy::parse_yaml(text, path.string()) : policy::parse_json(text, path.string());
}

// A document lies below the names of `folders`, as with OPA.
Status add_file(policy::Engine& engine, const std::filesystem::path& path,
                const std::filesystem::path& folders = {}) {
  if (has_extension(path, ".rego") || path == "-") {
    COFFER_TRY(std::string text, read_text(path.string()));
    return engine.add_module(path == "-" ? "stdin" : path.string(), std::move(text));
  }
  COFFER_TRY(Value document, read_document(path));
  std::vector<std::string> names;
  for (const auto& part : folders) names.push_back(part.string());
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    policy::ObjectBuilder outer;
    outer.add(*name, std::move(document));
    document = outer.build();
  }
  return engine.add_data(document);
}

Status add_path(policy::Engine& engine, const std::string& name) {
  std::error_code error;
  if (!std::filesystem::is_directory(name, error)) return add_file(engine, name);
  std::vector<std::filesystem::path> files;
  for (auto it = std::filesystem::recursive_directory_iterator(name, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    const auto& path = it->path();
    if (has_extension(path, ".rego") || has_extension(path, ".json") ||
        has_extension(path, ".yaml") || has_extension(path, ".yml"))
      files.push_back(path);
  }
  if (error)
    return fail(Code::kInvalidArgument, fmt::format("read folder '{}': {}", name, error.message()));
  std::sort(files.begin(), files.end());
  for (const auto& path : files)
    COFFER_TRY_VOID(add_file(engine, path, path.lexically_relative(name).parent_path()));
  return {};
}

struct Loaded {
  std::shared_ptr<policy::Policy> policy;
  Value data;
};

Result<Loaded> load(const EvalSettings& settings, bool optimise) {
  EngineOptions options;
  options.version = settings.v0 ? RegoVersion::kV0 : RegoVersion::kV1;
  options.optimise = optimise;
  policy::Engine engine(options);
  for (const std::string& name : settings.data) COFFER_TRY_VOID(add_path(engine, name));
  COFFER_TRY(auto compiled, engine.compile());
  return Loaded{std::move(compiled), engine.data()};
}

// The query's text of expression `index`.
std::string expression_text(const policy::CompiledQuery& query, std::size_t index) {
  const std::string& text = query.source->text;
  const std::size_t from = query.locations[index].offset;
  const std::size_t to =
      index + 1 < query.locations.size() ? query.locations[index + 1].offset : text.size();
  std::string out = text.substr(from, to - from);
  while (!out.empty() && (out.back() == ';' || out.back() == ' ' || out.back() == '\n'))
    out.pop_back();
  return out;
}

Value expression_value(const policy::CompiledQuery& query, std::size_t index, const Value& value) {
  policy::ObjectBuilder location;
  location.add("row", Value::integer(query.locations[index].line));
  location.add("col", Value::integer(query.locations[index].column));
  policy::ObjectBuilder out;
  out.add("value", value);
  out.add("text", Value::string(expression_text(query, index)));
  out.add("location", location.build());
  return out.build();
}

Value bindings_of(const policy::QueryResult& result, const policy::Row& row) {
  policy::ObjectBuilder out;
  for (std::size_t i = 0; i < row.variables; ++i) out.add(result.variables[i], row.values[i]);
  return out.build();
}

std::string as_json(const policy::CompiledQuery& query, const policy::QueryResult& result) {
  if (result.rows.empty()) return "{}";
  std::vector<Value> rows;
  for (const policy::Row& row : result.rows) {
    std::vector<Value> expressions;
    for (std::size_t i = row.variables; i < row.values.size(); ++i)
      expressions.push_back(expression_value(query, i - row.variables, row.values[i]));
    policy::ObjectBuilder out;
    out.add("expressions", Value::array(std::move(expressions)));
    if (row.variables > 0) out.add("bindings", bindings_of(result, row));
    rows.push_back(out.build());
  }
  policy::ObjectBuilder out;
  out.add("result", Value::array(std::move(rows)));
  return policy::to_json_pretty(out.build());
}

std::string as_pretty(const policy::QueryResult& result) {
  if (result.rows.empty()) return "undefined";
  std::string out;
  for (const policy::Row& row : result.rows) {
    if (!out.empty()) out += '\n';
    out += policy::to_json_pretty(row.variables > 0 ? bindings_of(result, row) : row.values.back());
  }
  return out;
}

std::string as_raw(const policy::QueryResult& result) {
  std::string out;
  for (const policy::Row& row : result.rows) {
    if (!out.empty()) out += '\n';
    for (std::size_t i = row.variables; i < row.values.size(); ++i) {
      if (i > row.variables) out += ' ';
      const Value& value = row.values[i];
      out += value.is_string() ? std::string(value.as_string()) : policy::to_json(value);
    }
  }
  return out;
}

std::string as_values(const policy::QueryResult& result) {
  std::string out;
  for (const policy::Row& row : result.rows) {
    if (!out.empty()) out += '\n';
    std::vector<Value> values(row.values.begin() + static_cast<std::ptrdiff_t>(row.variables),
                              row.values.end());
    out += policy::to_json_pretty(Value::array(std::move(values)));
  }
  return out;
}

Result<int> evaluate(const EvalSettings& settings, const std::string& text) {
  Value input;
  if (!settings.input.empty()) {
    COFFER_TRY(input, read_document(settings.input));
  }
  COFFER_TRY(Loaded loaded, load(settings, true));
  const policy::ParseOptions parse{.version = settings.v0 ? RegoVersion::kV0 : RegoVersion::kV1};
  auto evaluator = std::make_unique<policy::Evaluator>(loaded.policy);
  COFFER_TRY(policy::CompiledQuery query, evaluator->prepare(text, parse));
  if (query.replaces_data) {
    // Constants of the policy must not be folded where the query may replace them.
    COFFER_TRY(loaded, load(settings, false));
    evaluator = std::make_unique<policy::Evaluator>(loaded.policy);
    COFFER_TRY(query, evaluator->prepare(text, parse));
  }
  PrintToStderr prints;
  PolicyProfile profiler;
  policy::EvalOptions options;
  options.strict_builtin_errors = settings.strict;
  options.print = &prints;
  if (settings.profile) options.tracer = &profiler;
  COFFER_TRY(const policy::QueryResult result,
             evaluator->query(query, loaded.data, input, options));
  const std::string out = settings.format == "json"     ? as_json(query, result)
                          : settings.format == "pretty" ? as_pretty(result)
                          : settings.format == "raw"    ? as_raw(result)
                                                        : as_values(result);
  if (!out.empty() || settings.format != "raw") fmt::print("{}\n", out);
  if (settings.profile) profiler.show();
  return settings.fail_if_undefined && result.rows.empty() ? kExitNegative : kExitOk;
}

int run_eval(Args args) {
  EvalSettings settings;
  std::vector<std::string> queries;
  Options options(kEvalUsage, kEvalHelp);
  options.values("--data,-d", &settings.data, "policy (.rego), data (.json, .yaml) or a folder")
      .value("--input,-i", &settings.input, "input document")
      .value("--format,-f", &settings.format, "json, pretty, raw or values")
      .flag("--v0-compatible", &settings.v0, "policies and query are Rego v0")
      .flag("--strict-builtin-errors", &settings.strict, "errors of builtins end the query")
      .flag("--profile", &settings.profile, "time by rule, on stderr")
      .flag("--fail", &settings.fail_if_undefined, "exit 1 when the query is undefined")
      .positional(&queries);
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  if (queries.size() != 1)
    return report(Error(Code::kInvalidArgument, "policy eval: want one query"));
  if (settings.format != "json" && settings.format != "pretty" && settings.format != "raw" &&
      settings.format != "values")
    return report(Error(
        Code::kInvalidArgument,
        fmt::format("option '--format': '{}': want json, pretty, raw or values", settings.format)));
  auto code = evaluate(settings, queries.front());
  return code ? *code : report(code.error());
}

int run_check(Args args) {
  EvalSettings settings;
  Options options(kCheckUsage, kCheckHelp);
  options.flag("--v0-compatible", &settings.v0, "policies are Rego v0").positional(&settings.data);
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  if (settings.data.empty())
    return report(Error(Code::kInvalidArgument, "policy check: want at least one file"));
  for (const std::string& name : settings.data) {
    std::error_code error;
    if (name != "-" && !std::filesystem::exists(name, error))
      return report(Error(Code::kNotFound, fmt::format("read '{}': no such file", name)));
  }
  if (auto loaded = load(settings, true); !loaded) {
    report(loaded.error());
    return kExitNegative;
  }
  return kExitOk;
}

constexpr std::string_view kFormatUsage = "policy fmt [--write] FILE...";
constexpr std::string_view kFormatHelp =
    "Lays policies out: tabs by nesting, single spaces. Only white space changes.\n\n"
    "example: coffer policy fmt --write policy.rego";

// A text that is no v1 is taken for v0; what is neither is not touched.
Status format_file(const std::string& name, bool write) {
  COFFER_TRY(const std::string text, read_text(name));
  if (auto parsed = policy::parse_module(name, text); !parsed) {
    if (!policy::parse_module(name, text, {.version = RegoVersion::kV0}))
      return fail(std::move(parsed).error());
  }
  const std::string out = policy::format_source(text);
  if (!write || name == "-") {
    fmt::print("{}", out);
    return {};
  }
  return out == text ? Status() : write_file_atomic(name, out);
}

int run_format(Args args) {
  bool write = false;
  std::vector<std::string> files;
  Options options(kFormatUsage, kFormatHelp);
  options.flag("--write,-w", &write, "change the files").positional(&files);
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  if (files.empty())
    return report(Error(Code::kInvalidArgument, "policy fmt: want at least one file"));
  for (const std::string& name : files)
    if (auto done = format_file(name, write); !done) return report(done.error());
  return kExitOk;
}

// Known, so that nobody takes the absence for a typing error.
std::function<int(Args)> not_there(std::string_view name) {
  return [name](Args) {
    return report(Error(Code::kUnimplemented,
                        fmt::format("{}: this version cannot do it yet (write the policy by hand: "
                                    "docs/policy/README.md)",
                                    name)));
  };
}

}  // namespace

Result<std::unique_ptr<policy::AgentPolicy>> load_agent_policy(const std::string& path) {
  COFFER_TRY(const std::string text, read_file(path));
  auto loaded = policy::AgentPolicy::load(path, text);
  if (loaded) return loaded;
  policy::AgentPolicyOptions options;
  options.version = RegoVersion::kV0;
  auto older = policy::AgentPolicy::load(path, text, options);
  return older ? std::move(older) : std::move(loaded);
}

std::vector<Command> policy_commands() {
  return {{"policy eval", "evaluate a Rego query, as opa eval does", run_eval},
          {"policy check", "compile policies and report what is wrong", run_check},
          {"policy fmt", "lay policies out", run_format},
          {"policy test", "replay recorded requests against an agent policy", run_policy_test},
          {"policy explain", "say why a request is refused", run_policy_explain},
          {"policy generate", "not there yet: a policy from a pod", not_there("policy generate")},
          {"policy record", "not there yet: the requests of a pod", not_there("policy record")},
          {"policy learn", "not there yet: a policy from requests", not_there("policy learn")}};
}

}  // namespace coffer::cli
