// `coffer policy test` and `coffer policy explain`: recorded requests against an agent policy.
#include <fmt/format.h>

#include "base/fd.h"
#include "cli/policy.h"
#include "policy/agent/request_defaults.h"
#include "policy/value/json.h"

namespace coffer::cli {
namespace {

using policy::Value;

constexpr std::string_view kTestUsage = "policy test --policy P.rego [--json] FILE...";
constexpr std::string_view kTestHelp =
    "Replays requests in order and compares the answers. A FILE is genpolicy's testcases.json (a "
    "list of\n{description, kind, request, allowed}) or has one record a line: ep, input, optional "
    "state, and want\nor allowed.\n\nexample: coffer policy test --policy policy.rego "
    "requests.jsonl";
constexpr std::string_view kExplainUsage =
    "policy explain --policy P.rego --request R.json [--kind KIND]";
constexpr std::string_view kExplainHelp =
    "Evaluates one request and says which condition refused it, with the values compared. The "
    "request is\na record ({ep or kind, input or request}), or with --kind the bare input.\n\n"
    "example: coffer policy explain --policy policy.rego --request r.json --kind "
    "CreateContainerRequest";

struct Record {
  std::string entry_point;
  std::string description;
  Value input;
  Value state;    // undefined: what the record before left
  Value want;     // undefined: `allowed` decides
  Value allowed;  // undefined: `want` decides
};

std::string text_of(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

Value member(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found == nullptr ? Value() : *found;
}

Result<Record> read_record(const Value& object, std::string_view where) {
  if (!object.is_object())
    return fail(Code::kInvalidArgument, fmt::format("read {}: a record must be an object", where));
  Record out;
  out.entry_point = text_of(object, "ep");
  if (out.entry_point.empty()) out.entry_point = text_of(object, "kind");
  out.description = text_of(object, "description");
  out.input = member(object, "input");
  if (const Value* request = object.find("request"); out.input.is_undefined() && request) {
    COFFER_TRY(out.input, policy::complete_request(out.entry_point, *request));
  }
  out.state = member(object, "state");
  out.want = member(object, "want");
  out.allowed = member(object, "allowed");
  if (out.entry_point.empty() || out.input.is_undefined())
    return fail(
        Code::kInvalidArgument,
        fmt::format("read {}: a record needs 'ep' and 'input' (or 'kind' and 'request')", where));
  return out;
}

Result<std::vector<Record>> read_records(const std::string& path) {
  COFFER_TRY(const std::string content, read_file(path));
  std::vector<Record> out;
  if (const auto whole = policy::parse_json(content, path); whole && whole->is_array()) {
    for (std::size_t i = 0; i < whole->size(); ++i) {
      COFFER_TRY(auto record, read_record(whole->items()[i], fmt::format("{}[{}]", path, i)));
      out.push_back(std::move(record));
    }
    return out;
  }
  std::string_view rest = content;
  std::size_t line = 0;
  while (!rest.empty()) {
    ++line;
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", path, line);
    COFFER_TRY(const Value object, policy::parse_json(text, where));
    COFFER_TRY(auto record, read_record(object, where));
    out.push_back(std::move(record));
  }
  return out;
}

Value single(std::string_view key, Value value) {
  policy::ObjectBuilder out;
  out.add(key, std::move(value));
  return out.build();
}

// `want` is the bare value, or {"value": V}, {"undefined": true}, {"error": TEXT}.
bool as_wanted(const Value& want, const Result<Value>& got) {
  if (want.is_object() && want.size() == 1) {
    if (want.find("error") != nullptr) return !got;
    if (want.find("undefined") != nullptr) return got && got->is_undefined();
    if (const Value* value = want.find("value"); value != nullptr) return got && *got == *value;
  }
  return got && *got == want;
}

struct Outcome {
  bool ok = false;
  Value want;
  Value got;
};

Outcome run_record(policy::AgentPolicy& agent, const Record& record) {
  if (record.state.defined()) agent.set_data(single("pstate", record.state));
  const auto answer =
      agent.evaluator().rule("data.agent_policy." + record.entry_point, agent.data(), record.input);
  Outcome out;
  out.got = !answer                  ? single("error", Value::string(answer.error().to_string()))
            : answer->is_undefined() ? single("undefined", Value::boolean(true))
                                     : *answer;
  // What is allowed changes the state for the records that follow.
  const policy::Decision decision = agent.evaluate(record.entry_point, record.input);
  if (record.want.defined()) {
    out.want = record.want;
    out.ok = as_wanted(record.want, answer);
  } else {
    out.want = record.allowed;
    out.ok = record.allowed.is_boolean() && record.allowed.is_true() == decision.allowed;
  }
  return out;
}

std::string shortened(const Value& value) {
  const std::string text = policy::to_json(value);
  constexpr std::size_t kMost = 160;
  return text.size() > kMost ? text.substr(0, kMost) + "..." : text;
}

}  // namespace

int run_policy_test(Args args) {
  std::string policy_path;
  bool json = false;
  std::vector<std::string> files;
  Options options(kTestUsage, kTestHelp);
  options.value("--policy", &policy_path, "the agent policy")
      .flag("--json", &json, "results as JSON")
      .positional(&files);
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  if (policy_path.empty() || files.empty())
    return report(
        Error(Code::kInvalidArgument, "policy test: want --policy and a file of requests"));
  auto agent = load_agent_policy(policy_path);
  if (!agent) return report(agent.error());
  std::vector<Value> results;
  std::size_t failed = 0;
  for (const std::string& file : files) {
    const auto records = read_records(file);
    if (!records) return report(records.error());
    (*agent)->set_data(single("pstate", Value::empty_object()));
    for (const Record& record : *records) {
      Outcome outcome = run_record(**agent, record);
      failed += outcome.ok ? 0 : 1;
      if (!json)
        fmt::print("{:<5}{} {}{}\n", outcome.ok ? "ok" : "FAIL", record.entry_point,
                   record.description,
                   outcome.ok ? std::string()
                              : fmt::format("\n     want {}\n     got  {}", shortened(outcome.want),
                                            shortened(outcome.got)));
      policy::ObjectBuilder result;
      result.add("ep", Value::string(record.entry_point));
      result.add("ok", Value::boolean(outcome.ok));
      result.add("want", outcome.want.defined() ? outcome.want : Value::null());
      result.add("got", std::move(outcome.got));
      results.push_back(result.build());
    }
  }
  const std::size_t total = results.size();
  if (json) {
    fmt::print("{}\n", policy::to_json(single("results", Value::array(std::move(results)))));
  } else {
    fmt::print("{} passed, {} failed\n", total - failed, failed);
  }
  return failed == 0 ? kExitOk : kExitNegative;
}

int run_policy_explain(Args args) {
  std::string policy_path;
  std::string request_path;
  std::string kind;
  bool json = false;
  Options options(kExplainUsage, kExplainHelp);
  options.value("--policy", &policy_path, "the agent policy")
      .value("--request", &request_path, "the request, as JSON")
      .value("--kind", &kind, "name of the request's message")
      .flag("--json", &json, "the decision as JSON");
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  if (policy_path.empty() || request_path.empty())
    return report(Error(Code::kInvalidArgument, "policy explain: want --policy and --request"));
  auto agent = load_agent_policy(policy_path);
  if (!agent) return report(agent.error());
  const auto content = read_file(request_path);
  if (!content) return report(content.error());
  const auto document = policy::parse_json(*content, request_path);
  if (!document) return report(document.error());
  Record record;
  if (!kind.empty() && document->find("ep") == nullptr && document->find("kind") == nullptr) {
    auto input = policy::complete_request(kind, *document);
    if (!input) return report(input.error());
    record = {kind, "", *input, {}, {}, {}};
  } else {
    auto read = read_record(*document, request_path);
    if (!read) return report(read.error());
    record = std::move(*read);
  }
  if (record.state.defined()) (*agent)->set_data(single("pstate", record.state));
  const policy::Decision decision = (*agent)->evaluate(record.entry_point, record.input);
  if (json) {
    policy::ObjectBuilder out;
    out.add("request", Value::string(record.entry_point));
    out.add("allowed", Value::boolean(decision.allowed));
    out.add("reason", Value::string(decision.reason));
    out.add("failure", Value::string(decision.failure));
    fmt::print("{}\n", policy::to_json(out.build()));
  } else {
    fmt::print("{}: {}\n", record.entry_point, decision.allowed ? "allowed" : "denied");
    if (!decision.failure.empty()) fmt::print("  no verdict: {}\n", decision.failure);
    std::string indent = "  ";
    for (const policy::FailedCondition& step : decision.chain) {
      fmt::print("{}{} ({}): {}\n", indent, step.rule, policy::place(step.location),
                 step.condition.substr(0, 200));
      indent += "  ";
      if (step.left.defined()) fmt::print("{}left:  {}\n", indent, shortened(step.left));
      if (step.right.defined()) fmt::print("{}right: {}\n", indent, shortened(step.right));
    }
    if (!decision.prints.empty()) fmt::print("prints: {}\n", decision.prints.substr(0, 4000));
  }
  return decision.allowed ? kExitOk : kExitNegative;
}

}  // namespace coffer::cli
