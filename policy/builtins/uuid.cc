// uuid.* (RFC 4122) and rand.intn. The evaluator keeps one answer per arguments in a query.

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/bytes.h"
#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

constexpr std::size_t kUuidBytes = 16;

std::optional<Bytes> parse_bytes(std::string_view text) {
  constexpr std::string_view kUrn = "urn:uuid:";
  if (text.starts_with(kUrn)) text.remove_prefix(kUrn.size());
  if (text.size() == 38 && text.front() == '{' && text.back() == '}') {
    text = text.substr(1, 36);
  }
  std::string digits;
  if (text.size() == 36) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
      if (dash != (text[i] == '-')) return std::nullopt;
      if (!dash) digits += text[i];
    }
  } else if (text.size() == 32) {
    digits = text;
  } else {
    return std::nullopt;
  }
  auto bytes = from_hex(digits);
  if (!bytes) return std::nullopt;
  return *std::move(bytes);
}

std::uint64_t big_endian(BytesView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = (value << 8U) | byte;
  return value;
}

std::string_view variant_name(std::uint8_t byte) {
  if ((byte & 0xC0U) == 0x80) return "RFC4122";
  if ((byte & 0xE0U) == 0xC0) return "Microsoft";
  if ((byte & 0xE0U) == 0xE0) return "Future";
  return "Reserved";
}

std::string_view mac_variables(std::uint8_t first) {
  const bool local = (first & 2U) != 0;
  const bool multicast = (first & 1U) != 0;
  if (local) return multicast ? "local:multicast" : "local:unicast";
  return multicast ? "global:multicast" : "global:unicast";
}

std::string_view domain_name(std::uint8_t domain) {
  switch (domain) {
    case 0:
      return "Person";
    case 1:
      return "Group";
    case 2:
      return "Org";
    default:
      return "";
  }
}

// Versions 1 and 2 hold a time, a clock sequence and a node.
void add_time_fields(ObjectBuilder& object, BytesView bytes, int version) {
  const std::uint64_t low = version == 2 ? 0 : big_endian(bytes.subspan(0, 4));
  // For version 2 the low time is the local id; the time that remains still counts it, as Go's
  // library does.
  const std::uint64_t shown_low = version == 2 ? big_endian(bytes.subspan(0, 4)) : low;
  const std::uint64_t middle = big_endian(bytes.subspan(4, 2));
  const std::uint64_t high = big_endian(bytes.subspan(6, 2)) & 0x0FFFU;
  const auto ticks = static_cast<std::int64_t>(shown_low | middle << 32U | high << 48U);
  constexpr std::int64_t kTicksFrom1582To1970 = 0x01B21DD213814000;
  object.add("time", number(BigInt(ticks - kTicksFrom1582To1970) * BigInt(100)));
  const std::uint64_t sequence = big_endian(bytes.subspan(8, 2)) & 0x3FFFU;
  object.add("clocksequence", Value::integer(static_cast<std::int64_t>(sequence)));
  std::string node;
  for (const std::uint8_t byte : bytes.subspan(10)) {
    node += fmt::format("{}{:02x}", node.empty() ? "" : "-", byte);
  }
  object.add("nodeid", Value::string(node));
  object.add("macvariables", Value::string(mac_variables(bytes[10])));
  if (version == 2) {
    object.add("id", Value::integer(static_cast<std::int64_t>(shown_low)));
    object.add("domain", Value::string(domain_name(bytes[9])));
  }
}

Result<Value> parse(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  const auto bytes = parse_bytes(text);
  if (!bytes) return Value();
  const int version = (*bytes)[6] >> 4U;
  ObjectBuilder object;
  object.add("version", Value::integer(version));
  object.add("variant", Value::string(variant_name((*bytes)[8])));
  if (version == 1 || version == 2) add_time_fields(object, *bytes, version);
  return object.build();
}

Result<Value> rfc4122(BuiltinContext& context, std::span<const Value> /*args*/) {
  std::array<std::uint8_t, kUuidBytes> bytes{};
  context.random(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3FU) | 0x80U);
  const std::string hex = to_hex(bytes);
  return Value::string(fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4),
                                   hex.substr(12, 4), hex.substr(16, 4), hex.substr(20)));
}

Result<Value> rand_intn(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY_VOID(string_operand(args, 1));
  COFFER_TRY(const std::int64_t n, int_operand(args, 2));
  if (n == 0) return Value::integer(0);
  if (n == INT64_MIN) return builtin_error("operand 2 is out of range");
  const auto bound = static_cast<std::uint64_t>(n < 0 ? -n : n);
  // Draws above the largest multiple of `bound` are thrown away: no value is favoured.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  std::array<std::uint8_t, 8> bytes{};
  std::uint64_t drawn = UINT64_MAX;
  while (drawn >= limit) {
    context.random(bytes);
    drawn = big_endian(bytes);
  }
  return Value::integer(static_cast<std::int64_t>(drawn % bound));
}

constexpr std::array<Builtin, 3> kBuiltins = {{
    {"uuid.parse", 1, parse},
    {"uuid.rfc4122", 1, rfc4122, kNondeterministic},
    {"rand.intn", 2, rand_intn, kNondeterministic},
}};

}  // namespace

std::span<const Builtin> uuid_builtins() { return kBuiltins; }

}  // namespace coffer::policy
