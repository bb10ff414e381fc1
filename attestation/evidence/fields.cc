#include "attestation/evidence/fields.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace coffer::evidence {
namespace {

using Json = nlohmann::json;

// A parser makes the unsigned kind, C++ literals the signed.
bool is_natural(const Json& value) {
  return value.is_number_unsigned() ||
         (value.is_number_integer() && value.get<std::int64_t>() >= 0);
}

}  // namespace

Result<Fields> Fields::of(const nlohmann::json& object, std::string_view what) {
  if (!object.is_object()) {
    return fail(Code::kInvalidArgument, fmt::format("read {}: it is no object", what));
  }
  return Fields(&object, std::string(what));
}

std::unexpected<Error> Fields::refuse(const char* name, std::string_view why) const {
  return fail(Code::kInvalidArgument, fmt::format("read {}: member '{}' {}", what_, name, why));
}

bool Fields::has(const char* name) const {
  const auto at = object_->find(name);
  return at != object_->end() && !at->is_null();
}

Result<const nlohmann::json*> Fields::member(const char* name) const {
  const auto at = object_->find(name);
  if (at == object_->end()) return refuse(name, "is missing");
  return &*at;
}

Result<Fields> Fields::object(const char* name) const {
  COFFER_TRY(const Json* value, member(name));
  if (!value->is_object()) return refuse(name, "is no object");
  return Fields(value, what_ + " " + name);
}

Result<std::string> Fields::text(const char* name) const {
  COFFER_TRY(const Json* value, member(name));
  if (!value->is_string()) return refuse(name, "is no string");
  return value->get<std::string>();
}

Result<std::uint64_t> Fields::number(const char* name, std::uint64_t max) const {
  COFFER_TRY(const Json* value, member(name));
  if (!is_natural(*value)) return refuse(name, "is no whole number");
  const auto number = value->get<std::uint64_t>();
  if (number > max) return refuse(name, fmt::format("is {}, more than {}", number, max));
  return number;
}

Result<Bytes> Fields::ints_up_to(const char* name, std::size_t max) const {
  COFFER_TRY(const Json* value, member(name));
  auto bytes = bytes_of_ints(*value, max);
  if (!bytes) return refuse(name, bytes.error().message());
  return bytes;
}

Result<Bytes> Fields::ints(const char* name, std::size_t size) const {
  COFFER_TRY(Bytes bytes, ints_up_to(name, size));
  if (bytes.size() != size) {
    return refuse(name, fmt::format("has {} bytes, want {}", bytes.size(), size));
  }
  return bytes;
}

Result<Bytes> Fields::base64(const char* name) const {
  COFFER_TRY(const std::string value, text(name));
  auto bytes = from_base64(value);
  if (!bytes) return refuse(name, bytes.error().message());
  return bytes;
}

Result<Bytes> Fields::base64url(const char* name) const {
  COFFER_TRY(std::string value, text(name));
  for (int padding = 0; padding < 2 && value.ends_with('='); ++padding) value.pop_back();
  auto bytes = from_base64url(value);
  if (!bytes) return refuse(name, bytes.error().message());
  return bytes;
}

Result<Bytes> Fields::hex(const char* name) const {
  COFFER_TRY(const std::string value, text(name));
  auto bytes = from_hex(value);
  if (!bytes) return refuse(name, bytes.error().message());
  return bytes;
}

Result<Bytes> bytes_of_ints(const nlohmann::json& list, std::size_t max) {
  const auto* bytes = list.get_ptr<const Json::binary_t*>();
  const std::size_t size = bytes != nullptr ? bytes->size() : list.size();
  if ((bytes == nullptr && !list.is_array()) || size > max) {
    return fail(Code::kInvalidArgument, fmt::format("is no list of at most {} numbers", max));
  }
  if (bytes != nullptr) return Bytes(bytes->begin(), bytes->end());
  Bytes out;
  out.reserve(list.size());
  for (const auto& element : list) {
    if (!is_natural(element) || element.get<std::uint64_t>() > 0xFFU) {
      return fail(Code::kInvalidArgument, "has an element that is no number of 0 to 255");
    }
    out.push_back(element.get<std::uint8_t>());
  }
  return out;
}

nlohmann::json ints_of(BytesView bytes) {
  Json out = Json::array();
  for (const auto byte : bytes) out.push_back(byte);
  return out;
}

}  // namespace coffer::evidence
