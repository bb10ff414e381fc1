#include "shim/sandbox/json_reader.h"

#include <fmt/core.h>

namespace coffer::shim {

const nlohmann::json* JsonReader::find(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string JsonReader::text(const nlohmann::json& object, const char* key) {
  const nlohmann::json* value = find(object, key);
  if (value == nullptr) return {};
  if (value->is_string()) return value->get<std::string>();
  wrong(key, "a string");
  return {};
}

bool JsonReader::boolean(const nlohmann::json& object, const char* key) {
  const nlohmann::json* value = find(object, key);
  if (value == nullptr) return false;
  if (value->is_boolean()) return value->get<bool>();
  wrong(key, "true or false");
  return false;
}

const nlohmann::json* JsonReader::object(const nlohmann::json& parent, const char* key) {
  const nlohmann::json* value = find(parent, key);
  if (value == nullptr || value->is_object()) return value;
  wrong(key, "an object");
  return nullptr;
}

const nlohmann::json* JsonReader::array(const nlohmann::json& parent, const char* key) {
  const nlohmann::json* value = find(parent, key);
  if (value == nullptr || value->is_array()) return value;
  wrong(key, "a list");
  return nullptr;
}

void JsonReader::wrong(const char* key, std::string_view want) {
  if (first_) return;
  first_ =
      Error(Code::kInvalidArgument, fmt::format("read '{}': '{}' must be {}", what_, key, want));
}

Status JsonReader::status() const {
  if (first_) return std::unexpected(*first_);
  return {};
}

}  // namespace coffer::shim
