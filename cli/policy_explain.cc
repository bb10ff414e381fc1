// `coffer policy explain`: what the evaluation of one request tried, as a tree.
#include <fmt/format.h>

#include <filesystem>

#include "base/fd.h"
#include "cli/policy.h"
#include "cli/policy_profile.h"
#include "cli/policy_records.h"
#include "policy/agent/request_defaults.h"
#include "policy/eval/call_tree.h"
#include "policy/value/json.h"

namespace coffer::cli {
namespace {

using policy::CallTree;
using policy::Location;
using policy::TriedCondition;
using policy::TriedRule;
using policy::Value;

constexpr std::string_view kUsage = "policy explain --policy P.rego --request R.json [OPTION]...";
constexpr std::string_view kHelp =
    "Evaluates one request and shows which rules were tried and which condition failed first in "
    "each, with\nthe values compared. The request is a record ({ep or kind, input or request}), or "
    "with --kind the bare\ninput.\n\nexample: coffer policy explain --policy policy.rego --request "
    "r.json --kind CreateContainerRequest";

struct Settings {
  std::string policy;
  std::string request;
  std::string kind;
  bool json = false;
  bool profile = false;
};

std::string shortened(const Value& value) {
  constexpr std::size_t kMost = 160;
  const std::string text = policy::to_rego(value);
  return text.size() > kMost ? text.substr(0, kMost) + "..." : text;
}

std::string_view short_name(const TriedRule& rule) {
  const std::string_view name = rule.function->name;
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

std::string times(std::size_t count) { return count == 1 ? "" : fmt::format(" ({} times)", count); }

const Location& place_of(const TriedRule& rule, const TriedCondition& condition) {
  return rule.function->locations[condition.pc];
}

// Recursion here and below is bounded by the depth of calls.
void show(const TriedRule& rule, const std::string& margin);

void show(const TriedRule& rule, const TriedCondition& condition, const std::string& margin) {
  const Location& where = place_of(rule, condition);
  const std::string file = std::filesystem::path(where.file->name).filename().string();
  fmt::print("{}- {}:{}: {}{}\n", margin, file, where.line, policy::condition_text(where),
             times(condition.times));
  const std::string inner = margin + "    ";
  for (const auto& [left, right] : condition.operands) {
    if (left.defined()) fmt::print("{}left:  {}\n", inner, shortened(left));
    if (right.defined()) fmt::print("{}right: {}\n", inner, shortened(right));
  }
  for (const auto& asked : condition.rules) show(*asked, inner);
}

void show(const TriedRule& rule, const std::string& margin) {
  fmt::print("{}{}: {}", margin, short_name(rule),
             rule.held == 0 ? "did not hold" : fmt::format("held{}", times(rule.held)));
  if (rule.held != 0 && rule.held < rule.calls)
    fmt::print(", did not hold{}", times(rule.calls - rule.held));
  fmt::print("{}\n", rule.held == 0 ? times(rule.calls) : "");
  for (const TriedCondition& condition : rule.conditions) show(rule, condition, margin + "  ");
  std::string held;
  std::string not_held;
  for (const auto& other : rule.others) {
    std::string& list = other->held > 0 ? held : not_held;
    list += fmt::format("{}{}{}", list.empty() ? "" : ", ", short_name(*other),
                        times(other->held > 0 ? other->held : other->calls));
  }
  if (!held.empty()) fmt::print("{}  held: {}\n", margin, held);
  if (!not_held.empty()) fmt::print("{}  did not hold, and need not: {}\n", margin, not_held);
}

Value count(std::size_t number) { return Value::integer(static_cast<std::int64_t>(number)); }

Value as_json(const TriedRule& rule) {
  std::vector<Value> conditions;
  for (const TriedCondition& condition : rule.conditions) {
    const Location& where = place_of(rule, condition);
    std::vector<Value> operands;
    for (const auto& [left, right] : condition.operands) {
      policy::ObjectBuilder pair;
      if (left.defined()) pair.add("left", left);
      if (right.defined()) pair.add("right", right);
      operands.push_back(pair.build());
    }
    std::vector<Value> rules;
    for (const auto& asked : condition.rules) rules.push_back(as_json(*asked));
    policy::ObjectBuilder out;
    out.add("at", Value::string(policy::place(where)));
    out.add("condition", Value::string(policy::condition_text(where)));
    out.add("times", count(condition.times));
    out.add("operands", Value::array(std::move(operands)));
    out.add("rules", Value::array(std::move(rules)));
    conditions.push_back(out.build());
  }
  std::vector<Value> others;
  for (const auto& other : rule.others) others.push_back(as_json(*other));
  policy::ObjectBuilder out;
  out.add("rule", Value::string(rule.function->name));
  out.add("calls", count(rule.calls));
  out.add("held", count(rule.held));
  out.add("failed", Value::array(std::move(conditions)));
  out.add("others", Value::array(std::move(others)));
  return out.build();
}

Result<PolicyRecord> read_request(const Settings& settings) {
  COFFER_TRY(const std::string content, read_file(settings.request));
  COFFER_TRY(const Value document, policy::parse_json(content, settings.request));
  const bool bare = document.find("ep") == nullptr && document.find("kind") == nullptr;
  if (settings.kind.empty() || !bare) return read_record(document, settings.request);
  PolicyRecord out;
  out.entry_point = settings.kind;
  COFFER_TRY(out.input, policy::complete_request(settings.kind, document));
  return out;
}

Result<int> explain(const Settings& settings) {
  COFFER_TRY(const auto agent, load_agent_policy(settings.policy));
  COFFER_TRY(const PolicyRecord record, read_request(settings));
  if (record.state.defined()) {
    policy::ObjectBuilder data;
    data.add("pstate", record.state);
    agent->set_data(data.build());
  }
  const std::string path = "data.agent_policy." + record.entry_point;
  const auto evaluate = [&](policy::Tracer& tracer) {
    policy::EvalOptions options;
    options.tracer = &tracer;
    // Its verdict, or its error, comes from the evaluation below.
    std::ignore = agent->evaluator().rule(path, agent->data(), record.input, options);
  };
  CallTree tree;
  evaluate(tree);
  if (settings.profile) {
    PolicyProfile profile;
    evaluate(profile);
    profile.show();
  }
  const policy::Decision decision = agent->evaluate(record.entry_point, record.input);
  if (settings.json) {
    policy::ObjectBuilder out;
    out.add("request", Value::string(record.entry_point));
    out.add("allowed", Value::boolean(decision.allowed));
    out.add("reason", Value::string(decision.reason));
    out.add("failure", Value::string(decision.failure));
    out.add("prints", Value::string(decision.prints));
    out.add("tree", tree.root() == nullptr ? Value::null() : as_json(*tree.root()));
    fmt::print("{}\n", policy::to_json(out.build()));
  } else {
    fmt::print("{}: {}\n", record.entry_point, decision.allowed ? "allowed" : "denied");
    if (!decision.failure.empty()) fmt::print("no verdict: {}\n", decision.failure);
    if (!decision.reason.empty()) fmt::print("reason: {}\n", decision.reason);
    if (!decision.prints.empty()) fmt::print("prints: {}\n", decision.prints.substr(0, 4000));
    if (tree.root() != nullptr) show(*tree.root(), "");
  }
  return decision.allowed ? kExitOk : kExitNegative;
}

}  // namespace

int run_policy_explain(Args args) {
  Settings settings;
  Options options(kUsage, kHelp);
  options.value("--policy", &settings.policy, "the agent policy")
      .value("--request", &settings.request, "the request, as JSON")
      .value("--kind", &settings.kind, "name of the request's message")
      .flag("--json", &settings.json, "the decision and the tree as JSON")
      .flag("--profile", &settings.profile, "time by rule, on stderr");
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  if (settings.policy.empty() || settings.request.empty())
    return report(Error(Code::kInvalidArgument, "policy explain: want --policy and --request"));
  const auto code = explain(settings);
  return code ? *code : report(code.error());
}

}  // namespace coffer::cli
