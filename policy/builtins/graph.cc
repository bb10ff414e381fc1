// graph.reachable, graph.reachable_paths and walk.

#include <algorithm>
#include <array>
#include <unordered_set>
#include <vector>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"

namespace coffer::policy {
namespace {

std::span<const Value> neighbours(const Value& graph, const Value& node) {
  const Value* edges = graph.find(node);
  if (edges == nullptr || (!edges->is_array() && !edges->is_set())) return {};
  return edges->items();
}

Status check_operands(std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  if (args[1].is_array() || args[1].is_set()) return {};
  return operand_error_one_of(2, "set, array", args[1]);
}

Result<Value> reachable(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(check_operands(args));
  std::vector<Value> queue(args[1].items().begin(), args[1].items().end());
  std::unordered_set<Value, ValueHash> seen;
  while (!queue.empty()) {
    const Value node = std::move(queue.back());
    queue.pop_back();
    if (args[0].find(node) == nullptr || !seen.insert(node).second) continue;
    for (const Value& next : neighbours(args[0], node)) queue.push_back(next);
  }
  return Value::set({seen.begin(), seen.end()});
}

// One path under way: its nodes so far.
using Path = std::vector<Value>;

bool in_path(const Path& path, const Value& node) {
  return std::ranges::find(path, node) != path.end();
}

// Every path, each node at most once, up to where an edge cannot be followed.
Result<Value> reachable_paths(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY_VOID(check_operands(args));
  std::vector<Path> open;
  for (const Value& node : args[1].items()) {
    if (args[0].find(node) != nullptr) open.push_back({node});
  }
  std::vector<Value> paths;
  std::size_t cells = 0;
  while (!open.empty()) {
    const Path path = std::move(open.back());
    open.pop_back();
    cells += path.size();
    COFFER_TRY_VOID(context.check_size(cells * sizeof(Value), "graph.reachable_paths"));
    const auto nodes = neighbours(args[0], path.back());
    // An edge to where the path has been, or to a node that is not in the graph, ends it here.
    bool ends = nodes.empty();
    for (const Value& next : nodes) {
      if (in_path(path, next) || args[0].find(next) == nullptr) {
        ends = true;
        continue;
      }
      open.push_back(path);
      open.back().push_back(next);
    }
    if (ends) paths.push_back(Value::array(path));
  }
  return Value::set(std::move(paths));
}

// Every [path, value] in a value, itself first, in the order of keys. One result per node, so the
// values that hold it bound its length.
Result<Value> walk(BuiltinContext& context, std::span<const Value> args) {
  struct Step {
    Value path, value;
  };
  std::vector<Step> open;
  open.push_back({Value::empty_array(), args[0]});
  std::vector<Value> found;
  const auto longer = [](const Value& path, const Value& key) {
    std::vector<Value> items(path.items().begin(), path.items().end());
    items.push_back(key);
    return Value::array(std::move(items));
  };
  while (!open.empty()) {
    const Step step = std::move(open.back());
    open.pop_back();
    found.push_back(Value::array({step.path, step.value}));
    COFFER_TRY_VOID(context.check_size(found.size() * sizeof(Step), "walk"));
    // Pushed backwards, so that the first is taken first.
    if (step.value.is_object()) {
      const auto entries = step.value.entries();
      for (std::size_t i = entries.size(); i-- > 0;) {
        open.push_back({longer(step.path, entries[i].key), entries[i].value});
      }
    } else if (step.value.is_composite()) {
      const auto items = step.value.items();
      for (std::size_t i = items.size(); i-- > 0;) {
        const Value key =
            step.value.is_array() ? Value::integer(static_cast<std::int64_t>(i)) : items[i];
        open.push_back({longer(step.path, key), items[i]});
      }
    }
  }
  return Value::array(std::move(found));
}

constexpr std::array<Builtin, 3> kBuiltins = {{
    {"walk", 1, walk, kRelation},
    {"graph.reachable", 2, reachable},
    {"graph.reachable_paths", 2, reachable_paths},
}};

}  // namespace

std::span<const Builtin> graph_builtins() { return kBuiltins; }

}  // namespace coffer::policy
