// `coffer policy test`: recorded requests against an agent policy.
#include <fmt/format.h>

#include "base/fd.h"
#include "cli/policy.h"
#include "cli/policy_records.h"
#include "policy/value/json.h"

namespace coffer::cli {
namespace {

using policy::Value;

constexpr std::string_view kTestUsage = "policy test --policy P.rego [--json] FILE-OR-FOLDER...";
constexpr std::string_view kTestHelp =
    "Replays requests in order and compares the answers. A FILE is genpolicy's testcases.json (a "
    "list of\n{description, kind, request, allowed}) or has one record a line: ep, input, optional "
    "state, and want\nor allowed. Of a folder, every testcases.json below it is taken.\n\nexample: "
    "coffer policy test --policy policy.rego "
    "requests.jsonl";
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

Outcome run_record(policy::AgentPolicy& agent, const PolicyRecord& record) {
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

void show(const PolicyRecord& record, const Outcome& outcome) {
  fmt::print("{:<5}{} {}\n", outcome.ok ? "ok" : "FAIL", record.entry_point, record.description);
  if (!outcome.ok)
    fmt::print("     want {}\n     got  {}\n", shortened(outcome.want), shortened(outcome.got));
}

Value as_json(const PolicyRecord& record, Outcome outcome) {
  policy::ObjectBuilder out;
  out.add("ep", Value::string(record.entry_point));
  out.add("ok", Value::boolean(outcome.ok));
  out.add("want", outcome.want.defined() ? std::move(outcome.want) : Value::null());
  out.add("got", std::move(outcome.got));
  return out.build();
}

}  // namespace

int run_policy_test(Args args) {
  std::string policy_path;
  bool json = false;
  std::vector<std::string> names;
  Options options(kTestUsage, kTestHelp);
  options.value("--policy", &policy_path, "the agent policy")
      .flag("--json", &json, "results as JSON")
      .positional(&names);
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  if (policy_path.empty() || names.empty())
    return report(
        Error(Code::kInvalidArgument, "policy test: want --policy and a file of requests"));
  auto agent = load_agent_policy(policy_path);
  if (!agent) return report(agent.error());
  std::vector<std::string> files;
  for (const std::string& name : names) {
    auto found = record_files(name);
    if (!found) return report(found.error());
    files.insert(files.end(), found->begin(), found->end());
  }
  std::vector<Value> results;
  std::size_t failed = 0;
  for (const std::string& file : files) {
    const auto records = read_records(file);
    if (!records) return report(records.error());
    if (!json && files.size() > 1) fmt::print("{}\n", file);
    (*agent)->set_data(single("pstate", Value::empty_object()));
    for (const PolicyRecord& record : *records) {
      for (const std::string& key : record.left_out)
        fmt::print(stderr, "coffer: {}: {}: no field '{}' in the API: left out\n", file,
                   record.entry_point, key);
      Outcome outcome = run_record(**agent, record);
      failed += outcome.ok ? 0 : 1;
      if (!json) show(record, outcome);
      results.push_back(as_json(record, std::move(outcome)));
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

}  // namespace coffer::cli
