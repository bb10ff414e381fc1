// Replays recorded requests and their mutants: records [--v0] POLICY.rego REQUESTS.jsonl
// [MUTANTS.jsonl]. Exit 0: every answer is the recorded one; 1: not; 77: files absent.
#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "policy/engine.h"
#include "policy/value/json.h"
#include "policy/value/json_patch.h"

namespace coffer::policy {
namespace {

std::vector<Value> read_lines(const std::string& path) {
  std::vector<Value> out;
  const auto content = read_file(path);
  if (!content) return out;
  std::string_view rest = *content;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0) {
      auto value = parse_json(rest.substr(0, end), path);
      if (value) out.push_back(*value);
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

// `want` is a bare value, {"value": V}, {"undefined": true} or {"error": TEXT}.
bool matches(const Value& want, const Result<Value>& got) {
  if (want.is_object() && want.find("error") != nullptr) {
    // An error of the oracle's own: OPA answers undefined, so the default. Both refuse.
    return !got || got->is_undefined() || got->is_false();
  }
  if (!got) return false;
  if (want.is_object() && want.find("undefined") != nullptr) return got->is_undefined();
  if (want.is_object() && want.find("value") != nullptr) return *want.find("value") == *got;
  return want == *got;
}

struct Count {
  int passed = 0;
  int failed = 0;
};

void judge(const Value& record, const Value& input, const Value& data, Evaluator& evaluator,
           std::string_view what, Count& count) {
  const std::string path = "data.agent_policy." + std::string(record.find("ep")->as_string());
  const auto got = evaluator.rule(path, data, input);
  if (matches(*record.find("want"), got)) {
    ++count.passed;
    return;
  }
  ++count.failed;
  fmt::print("FAIL {} {}: want {}, got {}\n", what, path, to_json(*record.find("want")),
             got ? (got->defined() ? to_json(*got) : "undefined") : got.error().to_string());
}

Value state_of(const Value& record) {
  ObjectBuilder data;
  const Value* state = record.find("state");
  data.add("pstate", state == nullptr ? Value::empty_object() : *state);
  return data.build();
}

int run(const std::vector<std::string>& args) {
  RegoVersion version = RegoVersion::kV1;
  std::vector<std::string> files;
  bool optimise = true;
  for (const std::string& arg : args) {
    if (arg == "--v0") {
      version = RegoVersion::kV0;
    } else if (arg == "--plain") {
      optimise = false;
    } else {
      files.push_back(arg);
    }
  }
  if (files.size() < 2) return 2;
  const auto text = read_file(files[0]);
  if (!text) {
    fmt::print("skipped: {}\n", text.error().to_string());
    return 77;
  }
  Engine engine({.version = version, .optimise = optimise});
  if (auto status = engine.add_module(files[0], *text); !status) {
    fmt::print("{}\n", status.error().to_string());
    return 1;
  }
  auto policy = engine.compile();
  if (!policy) {
    fmt::print("{}\n", policy.error().to_string());
    return 1;
  }
  Evaluator evaluator(*policy);
  Count count;
  const std::vector<Value> requests = read_lines(files[1]);
  for (const Value& record : requests)
    judge(record, *record.find("input"), state_of(record), evaluator, "request", count);
  if (files.size() > 2) {
    for (const Value& mutant : read_lines(files[2])) {
      const Value& base = requests[static_cast<std::size_t>(mutant.find("base")->small_int())];
      const auto input = apply_patch(*base.find("input"), *mutant.find("patch"));
      if (!input) {
        fmt::print("FAIL mutant: {}\n", input.error().to_string());
        ++count.failed;
        continue;
      }
      judge(mutant, *input, state_of(base), evaluator, "mutant", count);
    }
  }
  fmt::print("{} passed, {} failed\n", count.passed, count.failed);
  return count.failed == 0 && count.passed > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::policy

int main(int argc, char** argv) { return coffer::policy::run({argv + 1, argv + argc}); }
