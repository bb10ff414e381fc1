// json.* and yaml.*: text to values and back, and parts of documents by path.

#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/json.h"
#include "policy/value/json_patch.h"
#include "policy/value/yaml.h"

namespace coffer::policy {
namespace {

Result<Value> json_marshal(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::string(to_json(args[0], /*html=*/true));
}

struct MarshalOptions {
  bool pretty = false;
  std::string indent = "\t";
  std::string prefix;
};

Result<MarshalOptions> marshal_options(const Value& object) {
  MarshalOptions options;
  bool explicit_pretty = false;
  for (const Entry& entry : object.entries()) {
    const std::string key = to_display(entry.key);
    if (key == "pretty") {
      if (!entry.value.is_boolean()) return operand_error(2, "boolean", entry.value);
      options.pretty = entry.value.as_bool();
      explicit_pretty = true;
    } else if (key == "indent" || key == "prefix") {
      if (!entry.value.is_string()) return operand_error(2, "string", entry.value);
      (key == "indent" ? options.indent : options.prefix) = entry.value.as_string();
      if (!explicit_pretty) options.pretty = true;
    } else {
      return type_error(fmt::format("object contained unknown key \"{}\"", key));
    }
  }
  // Keys come sorted: "pretty" after the others, and it decides.
  return options;
}

Result<Value> json_marshal_with_options(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 2, Type::kObject));
  COFFER_TRY(const MarshalOptions options, marshal_options(args[1]));
  if (!options.pretty) return Value::string(to_json(args[0], true));
  return Value::string(options.prefix +
                       to_json_pretty(args[0], options.indent, options.prefix, true));
}

Result<Value> json_unmarshal(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  auto value = parse_json(text, "JSON");
  if (!value) return builtin_error(value.error().message());
  return *std::move(value);
}

Result<Value> json_is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::boolean(args[0].is_string() && parse_json(args[0].as_string(), "JSON").has_value());
}

Result<Value> yaml_marshal(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::string(to_yaml(args[0]));
}

Result<Value> yaml_unmarshal(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  auto value = parse_yaml(text, "YAML");
  if (!value) return builtin_error(value.error().message());
  return *std::move(value);
}

Result<Value> yaml_is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::boolean(args[0].is_string() && parse_yaml(args[0].as_string(), "YAML").has_value());
}

Result<Value> json_patch(BuiltinContext& /*context*/, std::span<const Value> args) {
  if (!args[1].is_array()) return operand_error(2, "array", args[1]);
  auto patched = apply_patch(args[0], args[1]);
  if (!patched) return builtin_error(patched.error().message());
  return *std::move(patched);
}

// The paths of json.filter and json.remove as a tree: a leaf takes everything below it.
struct PathTree {
  std::map<Value, std::unique_ptr<PathTree>> children;
  bool whole = false;
};

constexpr std::string_view kPathsWanted =
    "one of {set, array} containing string paths or array of path segments";

Result<std::vector<Value>> path_segments(const Value& path) {
  if (path.is_array()) return std::vector<Value>(path.items().begin(), path.items().end());
  if (!path.is_string()) return operand_error(2, kPathsWanted, path);
  std::string_view text = path.as_string();
  while (text.starts_with('/')) text.remove_prefix(1);
  std::vector<Value> segments;
  while (true) {
    const auto slash = text.find('/');
    std::string segment;
    // RFC 6901: "~1" is "/" and "~0" is "~".
    const std::string_view raw = text.substr(0, slash);
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const bool escaped = raw[i] == '~' && i + 1 < raw.size();
      if (escaped && (raw[i + 1] == '0' || raw[i + 1] == '1')) {
        segment += raw[++i] == '1' ? '/' : '~';
      } else {
        segment += raw[i];
      }
    }
    segments.push_back(Value::string(segment));
    if (slash == std::string_view::npos) return segments;
    text.remove_prefix(slash + 1);
  }
}

Result<PathTree> path_tree(std::span<const Value> args) {
  if (!args[1].is_array() && !args[1].is_set())
    return operand_error_one_of(2, "set, array", args[1]);
  PathTree root;
  for (const Value& path : args[1].items()) {
    COFFER_TRY(const auto segments, path_segments(path));
    PathTree* at = &root;
    for (const Value& segment : segments) {
      auto& next = at->children[segment];
      if (next == nullptr) next = std::make_unique<PathTree>();
      at = next.get();
    }
    at->whole = true;
  }
  return root;
}

// The subtree for a key; array positions are named by their decimal text, or by number.
const PathTree* below(const PathTree& tree, const Value& key) {
  auto found = tree.children.find(key);
  if (found == tree.children.end() && key.is_small_int()) {
    found = tree.children.find(Value::string(std::to_string(key.small_int())));
  }
  return found == tree.children.end() ? nullptr : found->second.get();
}

// Each recursion enters a composite, whose depth is bounded.
Value filtered(const Value& value, const PathTree& tree) {
  if (tree.whole) return value;
  if (value.is_object()) {
    ObjectBuilder object;
    for (const Entry& entry : value.entries()) {
      const PathTree* next = below(tree, entry.key);
      if (next == nullptr) continue;
      if (Value kept = filtered(entry.value, *next); kept.defined()) {
        object.add(entry.key, std::move(kept));
      }
    }
    return object.build();
  }
  if (value.is_array()) {
    std::vector<Value> items;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const PathTree* next = below(tree, Value::integer(static_cast<std::int64_t>(i)));
      if (next == nullptr) continue;
      if (Value kept = filtered(value.items()[i], *next); kept.defined()) {
        items.push_back(std::move(kept));
      }
    }
    return Value::array(std::move(items));
  }
  if (value.is_set()) {
    std::vector<Value> items;
    for (const Value& item : value.items()) {
      const PathTree* next = below(tree, item);
      if (next == nullptr) continue;
      if (Value kept = filtered(item, *next); kept.defined()) items.push_back(std::move(kept));
    }
    return Value::set(std::move(items));
  }
  return {};
}

// Undefined when the whole value goes.
Value removed(const Value& value, const PathTree& tree) {
  if (tree.whole) return {};
  if (value.is_object()) {
    ObjectBuilder object;
    for (const Entry& entry : value.entries()) {
      const PathTree* next = below(tree, entry.key);
      Value left = next == nullptr ? entry.value : removed(entry.value, *next);
      if (left.defined()) object.add(entry.key, std::move(left));
    }
    return object.build();
  }
  if (value.is_array() || value.is_set()) {
    std::vector<Value> items;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const Value& item = value.items()[i];
      const Value key = value.is_array() ? Value::integer(static_cast<std::int64_t>(i)) : item;
      const PathTree* next = below(tree, key);
      Value left = next == nullptr ? item : removed(item, *next);
      if (left.defined()) items.push_back(std::move(left));
    }
    return value.is_array() ? Value::array(std::move(items)) : Value::set(std::move(items));
  }
  return value;
}

Result<Value> json_filter(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  COFFER_TRY(const PathTree tree, path_tree(args));
  return filtered(args[0], tree);
}

Result<Value> json_remove(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  COFFER_TRY(const PathTree tree, path_tree(args));
  return removed(args[0], tree);
}

constexpr std::array<Builtin, 10> kBuiltins = {{
    {"json.marshal", 1, json_marshal},
    {"json.marshal_with_options", 2, json_marshal_with_options},
    {"json.unmarshal", 1, json_unmarshal},
    {"json.is_valid", 1, json_is_valid},
    {"json.patch", 2, json_patch},
    {"json.filter", 2, json_filter},
    {"json.remove", 2, json_remove},
    {"yaml.marshal", 1, yaml_marshal},
    {"yaml.unmarshal", 1, yaml_unmarshal},
    {"yaml.is_valid", 1, yaml_is_valid},
}};

}  // namespace

std::span<const Builtin> document_builtins() { return kBuiltins; }

}  // namespace coffer::policy
