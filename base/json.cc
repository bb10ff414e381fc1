#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace coffer {
namespace {

using Json = nlohmann::json;

// Takes the parser's events and builds the value from them; depth and doubled keys end it early.
// nlohmann's own builder with a callback does the same at several times the cost.
class Builder {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  // Why it ended; empty when it did not.
  std::string fault;
  Json root;

  bool null() { return put(nullptr) != nullptr; }
  bool boolean(bool value) { return put(value) != nullptr; }
  bool number_integer(Json::number_integer_t value) { return put(value) != nullptr; }
  bool number_unsigned(Json::number_unsigned_t value) { return put(value) != nullptr; }
  bool number_float(Json::number_float_t value, const std::string& /*text*/) {
    return put(value) != nullptr;
  }
  bool string(std::string& value) { return put(std::move(value)) != nullptr; }
  bool binary(Json::binary_t& /*value*/) { return false; }  // JSON text has none

  bool start_object(std::size_t /*elements*/) { return open(Json::value_t::object); }
  bool start_array(std::size_t /*elements*/) { return open(Json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    auto& members = *open_.back()->get_ptr<Json::object_t*>();
    const auto [at, fresh] = members.try_emplace(name);
    if (!fresh && limits_.refuse_duplicate_keys) {
      fault = fmt::format("key '{}' stands twice", name);
      return false;
    }
    member_ = &at->second;
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& error) {
    fault = error.what();
    return false;
  }

 private:
  // Where the next value belongs.
  template <typename T>
  Json* put(T&& value) {
    if (open_.empty()) {
      root = Json(std::forward<T>(value));
      return &root;
    }
    if (auto* list = open_.back()->get_ptr<Json::array_t*>(); list != nullptr) {
      return &list->emplace_back(std::forward<T>(value));
    }
    *member_ = Json(std::forward<T>(value));
    return member_;
  }
  bool open(Json::value_t type) {
    if (open_.size() >= limits_.max_depth) {
      fault = fmt::format("nested deeper than {} levels", limits_.max_depth);
      return false;
    }
    open_.push_back(put(type));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  // What is still being read, outermost first. Stays put: only the innermost grows.
  std::vector<Json*> open_;
  Json* member_ = nullptr;  // of the innermost object, whose value comes next
};

std::string slow_dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20U && byte < 0x80U && c != '"' && c != '\\';
}

void append_text(std::string& out, const std::string& text) {
  // Almost every text is plain; the others are few and short.
  if (std::ranges::all_of(text, is_plain)) {
    out += '"';
    out += text;
    out += '"';
  } else {
    out += slow_dump(text);
  }
}

void append_json(std::string& out, const Json& value);

void append_members(std::string& out, const Json::object_t& members) {
  char separator = '{';
  for (const auto& [key, member] : members) {
    out += separator;
    separator = ',';
    append_text(out, key);
    out += ':';
    append_json(out, member);
  }
  if (members.empty()) out += '{';
  out += '}';
}

void append_json(std::string& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return append_members(out, value.get_ref<const Json::object_t&>());
    case Json::value_t::array: {
      char separator = '[';
      for (const auto& item : value.get_ref<const Json::array_t&>()) {
        out += separator;
        separator = ',';
        append_json(out, item);
      }
      out += value.empty() ? "[]" : "]";
      return;
    }
    case Json::value_t::string:
      return append_text(out, value.get_ref<const std::string&>());
    case Json::value_t::number_unsigned:
      out += fmt::format_int(value.get<std::uint64_t>()).str();
      return;
    case Json::value_t::number_integer:
      out += fmt::format_int(value.get<std::int64_t>()).str();
      return;
    default:
      out += slow_dump(value);
  }
}

}  // namespace

std::string dump_json(const nlohmann::json& value) {
  std::string out;
  append_json(out, value);
  return out;
}

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what,
                                  const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(Code::kResourceExhausted, fmt::format("parse {}: {} bytes, the limit is {}", what,
                                                      text.size(), limits.max_bytes));
  }
  Builder builder(limits);
  try {
    if (Json::sax_parse(text, &builder)) return std::move(builder.root);
    return fail(Code::kInvalidArgument, fmt::format("parse {}: {}", what, builder.fault));
  } catch (const nlohmann::json::exception& error) {
    return fail(Code::kInvalidArgument, fmt::format("parse {}: {}", what, error.what()));
  }
}

}  // namespace coffer
