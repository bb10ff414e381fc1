// Arbitrary policy over arbitrary input, with limits, and optimised against plain evaluation: the
// module's text, then a line "---", then the input as JSON.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "policy/engine.h"
#include "policy/value/json.h"

namespace {

using namespace coffer::policy;

class Discard : public PrintSink {
 public:
  void print(const Location&, std::string_view) override {}
};

class Watch : public Tracer {
 public:
  void enter(const Function&, std::span<const Value>) override {}
  void leave(const Function&, const Value&) override {}
  void failed(const Function&, std::uint32_t, const Value&, const Value&) override {}
};

coffer::Result<Value> evaluate(const std::string& text, RegoVersion version, bool optimise,
                               const Value& input) {
  Engine engine({.version = version, .experimental_keywords = true, .optimise = optimise});
  COFFER_TRY_VOID(engine.add_module("fuzz.rego", text));
  COFFER_TRY(auto policy, engine.compile());
  Evaluator evaluator(policy);
  evaluator.context().now_ns = [] { return std::int64_t{1'700'000'000'000'000'000}; };
  evaluator.context().random = [](std::span<std::uint8_t> out) {
    std::fill(out.begin(), out.end(), std::uint8_t{7});
  };
  evaluator.context().max_result = std::size_t{1} << 16U;
  EvalOptions options;
  options.limits.max_steps = 20000;
  options.limits.max_depth = 64;
  options.limits.max_memory = std::size_t{16} << 20U;
  Discard discard;
  Watch watch;
  // Observing must not change the answer.
  options.print = optimise ? nullptr : &discard;
  options.tracer = optimise ? nullptr : &watch;
  return evaluator.rule("data", Value::empty_object(), input, options);
}

bool is_limit(const coffer::Error& error) {
  return error.code() == coffer::Code::kResourceExhausted ||
         error.code() == coffer::Code::kDeadlineExceeded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string all(data, data + size);
  const std::size_t cut = all.find("\n---\n");
  const std::string text = all.substr(0, cut);
  Value input;
  if (cut != std::string::npos) {
    const auto parsed = parse_json(std::string_view(all).substr(cut + 5), "input");
    if (parsed) input = *parsed;
  }
  for (const RegoVersion version : {RegoVersion::kV0, RegoVersion::kV1}) {
    const auto fast = evaluate(text, version, true, input);
    const auto plain = evaluate(text, version, false, input);
    // Early exits may spare the fast one an error, never cause one; two answers must agree.
    if (fast && plain) coffer::check(*fast == *plain, "optimised and plain evaluation disagree");
    if (plain && !fast) coffer::check(is_limit(fast.error()), "only optimised evaluation fails");
  }
  return 0;
}
