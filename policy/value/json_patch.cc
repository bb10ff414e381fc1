#include "policy/value/json_patch.h"

#include <fmt/format.h>

#include <charconv>

namespace coffer::policy {
namespace {

using Path = std::span<const Value>;

std::unexpected<Error> bad(std::string message) {
  return fail(Code::kInvalidArgument, std::move(message));
}

// RFC 6901 section 4: "~1" is "/", "~0" is "~", in this order.
Result<Value> unescape(std::string_view token) {
  std::string text;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      text += token[i];
      continue;
    }
    ++i;
    if (i == token.size() || (token[i] != '0' && token[i] != '1')) {
      return bad("'~' is followed by neither 0 nor 1");
    }
    text += token[i] == '0' ? '~' : '/';
  }
  return Value::string(text);
}

Result<std::vector<Value>> parse_path(const Value* path) {
  if (path == nullptr) return bad("path is missing");
  if (path->is_array()) return std::vector<Value>(path->items().begin(), path->items().end());
  if (!path->is_string()) return bad("path is neither a string nor an array");
  std::string_view rest = path->as_string();
  std::vector<Value> steps;
  if (rest.empty()) return steps;
  if (rest.front() == '/') rest.remove_prefix(1);
  while (true) {
    const auto slash = rest.find('/');
    COFFER_TRY(Value step, unescape(rest.substr(0, slash)));
    steps.push_back(std::move(step));
    if (steps.size() > kMaxDepth) return bad("path is too long");
    if (slash == std::string_view::npos) return steps;
    rest.remove_prefix(slash + 1);
  }
}

// The position that `step` names in an array of `size` elements; `end_allowed` for an insertion.
Result<std::size_t> array_index(const Value& step, std::size_t size, bool end_allowed) {
  std::size_t index = 0;
  if (step.is_small_int()) {
    if (step.small_int() < 0) return bad("negative index");
    index = static_cast<std::size_t>(step.small_int());
  } else if (step.is_string()) {
    const std::string_view text = step.as_string();
    if (text == "-" && end_allowed) return size;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    if (error != std::errc() || end != text.data() + text.size() || leading_zero) {
      return bad(fmt::format("'{}' is no array index", text));
    }
  } else {
    return bad("array index is no number");
  }
  if (index > size || (index == size && !end_allowed)) {
    return bad(fmt::format("index {} is out of range (0 to {})", index, size));
  }
  return index;
}

// The element that `step` names in `parent`.
Result<const Value*> child(const Value& parent, const Value& step) {
  if (parent.is_array()) {
    COFFER_TRY(const std::size_t index, array_index(step, parent.size(), false));
    return &parent.items()[index];
  }
  if (!parent.is_object() && !parent.is_set()) return bad("a step leads into a scalar");
  const Value* found = parent.get(step);
  if (found == nullptr) return bad("no such key");
  return found;
}

Result<Value> lookup(const Value& document, Path path) {
  const Value* at = &document;
  for (const Value& step : path) {
    COFFER_TRY(at, child(*at, step));
  }
  return *at;
}

enum class Change { kAdd, kRemove, kReplace };

Result<Value> change_array(const Value& parent, const Value& step, Change change,
                           const Value& value) {
  COFFER_TRY(const std::size_t index, array_index(step, parent.size(), change == Change::kAdd));
  std::vector<Value> items(parent.items().begin(), parent.items().end());
  const auto at = items.begin() + static_cast<std::ptrdiff_t>(index);
  if (change == Change::kAdd) {
    items.insert(at, value);
  } else if (change == Change::kRemove) {
    items.erase(at);
  } else {
    *at = value;
  }
  return Value::array(std::move(items));
}

Result<Value> change_set(const Value& parent, const Value& step, Change change,
                         const Value& value) {
  const bool present = parent.contains(step);
  if (change != Change::kAdd && !present) return bad("no such element");
  if (change == Change::kAdd && step != value) {
    return bad("an element added to a set must equal the path's last step");
  }
  std::vector<Value> items;
  for (const Value& item : parent.items()) {
    if (item != step) items.push_back(item);
  }
  if (change != Change::kRemove) items.push_back(value);
  return Value::set(std::move(items));
}

Result<Value> change_leaf(const Value& parent, const Value& step, Change change,
                          const Value& value) {
  if (parent.is_array()) return change_array(parent, step, change, value);
  if (parent.is_set()) return change_set(parent, step, change, value);
  if (!parent.is_object()) return bad("the last step leads into a scalar");
  if (change != Change::kAdd && parent.find(step) == nullptr) return bad("no such key");
  if (change == Change::kRemove) return without_entry(parent, step);
  return with_entry(parent, step, value);
}

// Rebuilds the spine from the changed leaf upwards. Each recursion enters a composite of the
// document, whose depth is bounded (kMaxDepth).
Result<Value> change_at(const Value& document, Path path, Change change, const Value& value) {
  if (path.empty()) {
    if (change == Change::kRemove) return bad("the whole document cannot be removed");
    return value;
  }
  if (path.size() == 1) return change_leaf(document, path[0], change, value);
  COFFER_TRY(const Value* inner, child(document, path[0]));
  COFFER_TRY(const Value changed, change_at(*inner, path.subspan(1), change, value));
  if (document.is_set()) {
    COFFER_TRY(const Value without, change_set(document, path[0], Change::kRemove, {}));
    return change_set(without, changed, Change::kAdd, changed);
  }
  return change_leaf(document, path[0], Change::kReplace, changed);
}

bool starts_with(Path path, Path prefix) {
  return path.size() >= prefix.size() && std::ranges::equal(path.first(prefix.size()), prefix);
}

Result<Value> value_of(const Value& operation) {
  const Value* value = operation.find("value");
  if (value == nullptr) return bad("value is missing");
  return *value;
}

Result<Value> transfer(const Value& document, const Value& operation, Path path, bool move) {
  COFFER_TRY(const std::vector<Value> from, parse_path(operation.find("from")));
  COFFER_TRY(const Value value, lookup(document, from));
  if (!move) return change_at(document, path, Change::kAdd, value);
  if (path.size() > from.size() && starts_with(path, from)) {
    return bad("a value cannot be moved into itself");
  }
  COFFER_TRY(const Value without, change_at(document, from, Change::kRemove, {}));
  return change_at(without, path, Change::kAdd, value);
}

Result<Value> apply_one(const Value& document, const Value& operation) {
  const Value* op = operation.find("op");
  if (op == nullptr || !op->is_string()) return bad("op is missing");
  COFFER_TRY(const std::vector<Value> path, parse_path(operation.find("path")));
  const std::string_view name = op->as_string();
  if (name == "remove") return change_at(document, path, Change::kRemove, {});
  if (name == "move" || name == "copy") return transfer(document, operation, path, name == "move");
  if (name != "add" && name != "replace" && name != "test") {
    return bad(fmt::format("op '{}' is unknown", name));
  }
  COFFER_TRY(const Value value, value_of(operation));
  if (name == "test") {
    COFFER_TRY(const Value found, lookup(document, path));
    if (found != value) return bad("the value is another");
    return document;
  }
  return change_at(document, path, name == "add" ? Change::kAdd : Change::kReplace, value);
}

std::string describe(const Value& operation) {
  if (!operation.is_object()) return to_display(operation);
  const Value* op = operation.find("op");
  const Value* path = operation.find("path");
  return fmt::format("{} {}", op == nullptr ? "?" : to_display(*op),
                     path == nullptr ? "?" : to_display(*path));
}

}  // namespace

Result<Value> apply_patch(const Value& document, const Value& operations) {
  if (!operations.is_array()) return bad("apply patch: the operations are no array");
  Value result = document;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Value& operation = operations.items()[i];
    if (!operation.is_object()) {
      return bad(fmt::format("apply patch operation {}: is no object", i));
    }
    auto next = apply_one(result, operation);
    if (next && next->depth() > kMaxDepth) next = bad("the result is nested too deep");
    if (!next) {
      return bad(fmt::format("apply patch operation {} ({}): {}", i, describe(operation),
                             next.error().message()));
    }
    result = *std::move(next);
  }
  return result;
}

}  // namespace coffer::policy
