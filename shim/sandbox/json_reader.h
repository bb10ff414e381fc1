// Reads values out of a parsed JSON document by name. The first value of a wrong type is
// remembered, with its place; until then and after, readers return defaults, so that a translation
// reads straight through and is checked once at its end.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::shim {

class JsonReader {
 public:
  // `what` names the document in errors: "config.json".
  explicit JsonReader(std::string what) : what_(std::move(what)) {}

  // Absent and null read as empty, 0, false.
  std::string text(const nlohmann::json& object, const char* key);
  bool boolean(const nlohmann::json& object, const char* key);
  // A whole number in the target's range.
  template <typename T>
  T number(const nlohmann::json& object, const char* key) {
    return optional_number<T>(object, key).value_or(T{});
  }
  template <typename T>
  std::optional<T> optional_number(const nlohmann::json& object, const char* key) {
    const nlohmann::json* value = find(object, key);
    if (value == nullptr) return std::nullopt;
    return whole<T>(*value, key);
  }
  template <typename T>
  T whole(const nlohmann::json& value, const char* key) {
    if (value.is_number_unsigned()) {
      const auto number = value.get<std::uint64_t>();
      if (std::in_range<T>(number)) return static_cast<T>(number);
    } else if (value.is_number_integer()) {
      const auto number = value.get<std::int64_t>();
      if (std::in_range<T>(number)) return static_cast<T>(number);
    }
    wrong(key, "a whole number in range");
    return T{};
  }
  // The member as an object or array; null when absent.
  const nlohmann::json* object(const nlohmann::json& parent, const char* key);
  const nlohmann::json* array(const nlohmann::json& parent, const char* key);
  // Calls `add` for each text of a list.
  template <typename F>
  void texts(const nlohmann::json& parent, const char* key, F add) {
    const nlohmann::json* list = array(parent, key);
    if (list == nullptr) return;
    for (const nlohmann::json& item : *list) {
      if (!item.is_string()) return wrong(key, "a list of strings");
      add(item.get_ref<const std::string&>());
    }
  }
  // Calls `add` for each object of a list.
  template <typename F>
  void objects(const nlohmann::json& parent, const char* key, F add) {
    const nlohmann::json* list = array(parent, key);
    if (list == nullptr) return;
    for (const nlohmann::json& item : *list) {
      if (!item.is_object()) return wrong(key, "a list of objects");
      add(item);
    }
  }
  // Calls `add(key, value)` for each member of a map of texts.
  template <typename F>
  void text_map(const nlohmann::json& parent, const char* key, F add) {
    const nlohmann::json* map = object(parent, key);
    if (map == nullptr) return;
    for (auto each = map->begin(); each != map->end(); ++each) {
      if (!each->is_string()) return wrong(key, "a map of strings");
      add(each.key(), each->get_ref<const std::string&>());
    }
  }

  void wrong(const char* key, std::string_view want);
  // kInvalidArgument: "read 'config.json': 'args' must be a list of strings".
  [[nodiscard]] Status status() const;

 private:
  static const nlohmann::json* find(const nlohmann::json& object, const char* key);

  std::string what_;
  std::optional<Error> first_;
};

}  // namespace coffer::shim
