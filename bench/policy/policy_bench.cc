// The policy engine on Kata's recorded policies: load, request, state change, memory.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "policy/engine.h"
#include "policy/value/json.h"
#include "policy/value/json_patch.h"

namespace coffer::policy {
namespace {

const std::filesystem::path kPods = std::filesystem::path(COFFER_VECTORS) / "rego/kata-regorus";

struct Request {
  std::string path;
  Value input;
  std::string text;
};

struct Pod {
  std::string name;
  std::string text;
  std::shared_ptr<Policy> policy;
  std::unique_ptr<Evaluator> evaluator;
  std::vector<Request> requests;
};

std::shared_ptr<Policy> load(const std::string& name, const std::string& text) {
  Engine engine({.version = RegoVersion::kV0});
  auto status = engine.add_module(name, text);
  check(status.has_value(), "the policy does not parse");
  auto policy = engine.compile();
  check(policy.has_value(), "the policy does not compile");
  return *policy;
}

std::vector<Pod>& pods() {
  static std::vector<Pod> all = [] {
    std::vector<Pod> out;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(kPods, ignored)) {
      const auto text = read_file(entry.path() / "policy.rego");
      const auto lines = read_file(entry.path() / "requests.jsonl");
      if (!text || !lines) continue;
      Pod pod{entry.path().filename().string(), *text, load("policy.rego", *text), nullptr, {}};
      pod.evaluator = std::make_unique<Evaluator>(pod.policy);
      std::string_view rest = *lines;
      while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        if (auto record = parse_json(rest.substr(0, end), "request"); record && record->is_object())
          pod.requests.push_back(
              {"data.agent_policy." + std::string(record->find("ep")->as_string()),
               *record->find("input"), to_json(*record->find("input"))});
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      out.push_back(std::move(pod));
    }
    return out;
  }();
  return all;
}

Value initial_state() { return *parse_json(R"({"pstate":{}})", "state"); }

void requests(benchmark::State& state, std::string_view kind) {
  const Value data = initial_state();
  std::size_t count = 0;
  double slowest = 0;
  for (auto _ : state) {
    count = 0;
    for (Pod& pod : pods()) {
      for (const Request& request : pod.requests) {
        if (!kind.empty() && !request.path.ends_with(kind)) continue;
        const auto start = std::chrono::steady_clock::now();
        auto answer = pod.evaluator->rule(request.path, data, request.input);
        benchmark::DoNotOptimize(answer);
        const std::chrono::duration<double, std::micro> took =
            std::chrono::steady_clock::now() - start;
        slowest = std::max(slowest, took.count());
        ++count;
      }
    }
  }
  if (count == 0) return state.SkipWithError("no vectors");
  state.counters["us_per_request"] =
      benchmark::Counter(static_cast<double>(count) * static_cast<double>(state.iterations()) / 1e6,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["requests"] = static_cast<double>(count);
  state.counters["slowest_us"] = slowest;
}

// The slowest single request, by the best of its runs.
void slowest_request(benchmark::State& state) {
  const Value data = initial_state();
  std::map<const Request*, double> best;
  for (auto _ : state) {
    for (Pod& pod : pods()) {
      for (const Request& request : pod.requests) {
        const auto start = std::chrono::steady_clock::now();
        auto answer = pod.evaluator->rule(request.path, data, request.input);
        benchmark::DoNotOptimize(answer);
        const std::chrono::duration<double, std::micro> took =
            std::chrono::steady_clock::now() - start;
        auto [found, fresh] = best.try_emplace(&request, took.count());
        if (!fresh) found->second = std::min(found->second, took.count());
      }
    }
  }
  double worst = 0;
  double sum = 0;
  for (const auto& [request, us] : best) {
    worst = std::max(worst, us);
    sum += us;
  }
  state.counters["slowest_us"] = worst;
  state.counters["mean_us"] = best.empty() ? 0 : sum / static_cast<double>(best.size());
}

std::size_t heap() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// What an agent holds after it has judged all requests of its pod: the policy, the machine's stacks
// and caches, the compiled patterns with the states that matching has added to them. The largest of
// the pods; first the policy with its evaluator alone.
void memory(benchmark::State& state) {
  const Value data = initial_state();
  std::size_t loaded = 0;
  std::size_t used = 0;
  for (auto _ : state) {
    for (const Pod& pod : pods()) {
      const std::size_t before = heap();
      const auto policy = load("policy.rego", pod.text);
      Evaluator evaluator(policy);
      loaded = std::max(loaded, heap() - before);
      for (const Request& request : pod.requests)
        benchmark::DoNotOptimize(evaluator.rule(request.path, data, request.input));
      used = std::max(used, heap() - before);
    }
  }
  state.counters["loaded_bytes"] = static_cast<double>(loaded);
  state.counters["used_bytes"] = static_cast<double>(used);
}

void load_policy(benchmark::State& state, const std::string& file) {
  auto text = read_file(kPods / file);
  if (!text) return state.SkipWithError("no vectors");
  while (!text->empty() && text->back() == '\0') text->pop_back();  // one recording ends in NUL
  for (auto _ : state) benchmark::DoNotOptimize(load(file, *text));
  const std::size_t before = heap();
  const auto policy = load(file, *text);
  const Evaluator evaluator(policy);
  state.counters["heap_bytes"] = static_cast<double>(heap() - before);
  state.counters["bytes_of_text"] = static_cast<double>(text->size());
}

void state_change(benchmark::State& state) {
  Value data = initial_state();
  for (int i = 0; i < 20; ++i) {
    const auto ops = parse_json(
        fmt::format(R"([{{"op":"add","path":"/pstate/container{}","value":{}}}])", i, i), "ops");
    data = *apply_patch(data, *ops);
  }
  const auto ops = parse_json(R"([{"op":"add","path":"/pstate/container-x","value":7}])", "ops");
  for (auto _ : state) benchmark::DoNotOptimize(apply_patch(data, *ops));
}

void parse_input(benchmark::State& state) {
  std::size_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    for (const Pod& pod : pods()) {
      for (const Request& request : pod.requests) {
        benchmark::DoNotOptimize(parse_json(request.text, "request"));
        bytes += request.text.size();
      }
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void first_answer(benchmark::State& state) {
  if (pods().empty()) return state.SkipWithError("no vectors");
  const Pod& pod = pods().front();
  const Value data = initial_state();
  for (auto _ : state) {
    Evaluator evaluator(load("policy.rego", pod.text));
    benchmark::DoNotOptimize(
        evaluator.rule(pod.requests.front().path, data, pod.requests.front().input));
  }
}

BENCHMARK(slowest_request)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(requests, all, "")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(requests, create_container, "CreateContainerRequest")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(requests, copy_file, "CopyFileRequest");
BENCHMARK_CAPTURE(requests, exec_process, "ExecProcessRequest");
BENCHMARK_CAPTURE(requests, create_sandbox, "CreateSandboxRequest");
BENCHMARK_CAPTURE(load_policy, web, "web/policy.rego")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load_policy, large, "large.rego")->Unit(benchmark::kMillisecond);
BENCHMARK(memory)->Unit(benchmark::kMillisecond);
BENCHMARK(first_answer)->Unit(benchmark::kMillisecond);
BENCHMARK(state_change);
BENCHMARK(parse_input)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace coffer::policy

BENCHMARK_MAIN();
