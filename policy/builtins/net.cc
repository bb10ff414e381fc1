// net.cidr_*: pure arithmetic on addresses. What would ask the network is refused in registry.cc.

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"

namespace coffer::policy {
namespace {

struct Address {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // the first 4 of an IPv4 address

  [[nodiscard]] unsigned bits() const { return v6 ? 128 : 32; }
  friend auto operator<=>(const Address& a, const Address& b) = default;
};

struct Network {
  Address first;  // host bits zero
  unsigned prefix = 0;

  [[nodiscard]] Address last() const;
  [[nodiscard]] bool contains(const Address& address) const;
};

std::optional<Address> parse_address(std::string_view text) {
  const std::string copy(text);
  Address address;
  if (copy.find('\0') != std::string::npos) return std::nullopt;
  if (::inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) return address;
  address.v6 = true;
  if (::inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::string to_text(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), buffer.data(), buffer.size());
  return buffer.data();
}

// Sets every bit after the first `prefix` to `on`.
Address fill_host_bits(Address address, unsigned prefix, bool on) {
  for (unsigned bit = prefix; bit < address.bits(); ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    std::uint8_t& byte = address.bytes.at(bit / 8);
    byte = static_cast<std::uint8_t>(on ? byte | mask : byte & ~mask);
  }
  return address;
}

Address Network::last() const { return fill_host_bits(first, prefix, true); }
bool Network::contains(const Address& address) const {
  return address.v6 == first.v6 && first <= address && address <= last();
}

std::optional<Network> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  if (!address || digits.empty() || digits.size() > 3) return std::nullopt;
  unsigned prefix = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    prefix = prefix * 10 + static_cast<unsigned>(c - '0');
  }
  if (prefix > address->bits()) return std::nullopt;
  return Network{fill_host_bits(*address, prefix, false), prefix};
}

std::unexpected<Error> invalid_cidr(std::string_view text) {
  return builtin_error("invalid CIDR address: " + std::string(text));
}

Result<Network> network_of(std::string_view text) {
  auto network = parse_network(text);
  if (!network) return invalid_cidr(text);
  return *network;
}

// A CIDR, or an address as a network of one.
Result<Network> network_or_address(std::string_view text) {
  if (const auto address = parse_address(text)) return Network{*address, address->bits()};
  return network_of(text);
}

bool contains(const Network& outer, const Network& inner) {
  return outer.contains(inner.first) && outer.contains(inner.last());
}

Result<Value> cidr_contains(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto outer_text, string_operand(args, 1));
  COFFER_TRY(const auto inner_text, string_operand(args, 2));
  COFFER_TRY(const Network outer, network_of(outer_text));
  COFFER_TRY(const Network inner, network_or_address(inner_text));
  return Value::boolean(contains(outer, inner));
}

Result<Value> cidr_intersects(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto a_text, string_operand(args, 1));
  COFFER_TRY(const auto b_text, string_operand(args, 2));
  COFFER_TRY(const Network a, network_of(a_text));
  COFFER_TRY(const Network b, network_of(b_text));
  return Value::boolean(a.contains(b.first) || b.contains(a.first));
}

Result<Value> cidr_is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::boolean(args[0].is_string() && parse_network(args[0].as_string()).has_value());
}

Address successor(Address address) {
  for (unsigned i = address.bits() / 8; i-- > 0;) {
    if (++address.bytes.at(i) != 0) break;
  }
  return address;
}

Result<Value> cidr_expand(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  COFFER_TRY(const Network network, network_of(text));
  constexpr unsigned kMaxHostBits = 20;
  const unsigned host_bits = network.first.bits() - network.prefix;
  if (host_bits > kMaxHostBits) {
    return fail(
        Code::kResourceExhausted,
        fmt::format("net.cidr_expand: 2^{} addresses, the limit is 2^{}", host_bits, kMaxHostBits));
  }
  COFFER_TRY_VOID(context.check_size(std::size_t{1} << host_bits, "net.cidr_expand"));
  std::vector<Value> addresses;
  Address address = network.first;
  for (std::size_t left = std::size_t{1} << host_bits; left > 0; --left) {
    addresses.push_back(Value::string(to_text(address)));
    address = successor(address);
  }
  return Value::set(std::move(addresses));
}

// The text of an element of cidr_contains_matches' operands: a string, or the head of a tuple.
Result<std::string_view> element_text(const Value& element, std::size_t position) {
  const Value* text = &element;
  if (element.is_array() && element.size() > 0) text = &element.items()[0];
  if (!text->is_string()) {
    return builtin_error(
        fmt::format("operand {}: element must be string or non-empty array", position));
  }
  return text->as_string();
}

struct Candidate {
  Value key;  // what the result names it by
  std::string_view text;
};

Result<std::vector<Candidate>> candidates(std::span<const Value> args, std::size_t position) {
  const Value& operand = args[position - 1];
  std::vector<Candidate> found;
  if (operand.is_string()) {
    found.push_back({operand, operand.as_string()});
  } else if (operand.is_array() || operand.is_set()) {
    for (std::size_t i = 0; i < operand.size(); ++i) {
      const Value& item = operand.items()[i];
      COFFER_TRY(const auto text, element_text(item, position));
      const bool array = operand.is_array();
      found.push_back({array ? Value::integer(static_cast<std::int64_t>(i)) : item, text});
    }
  } else if (operand.is_object()) {
    for (const Entry& entry : operand.entries()) {
      COFFER_TRY(const auto text, element_text(entry.value, position));
      found.push_back({entry.key, text});
    }
  } else {
    return operand_error_one_of(position, "string, object, set, array", operand);
  }
  return found;
}

Result<Value> cidr_contains_matches(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const auto outers, candidates(args, 1));
  COFFER_TRY(const auto inners, candidates(args, 2));
  COFFER_TRY_VOID(context.check_size(outers.size() * inners.size(), "net.cidr_contains_matches"));
  std::vector<Value> matches;
  for (const Candidate& outer : outers) {
    COFFER_TRY(const Network network, network_of(outer.text));
    for (const Candidate& inner : inners) {
      COFFER_TRY(const Network other, network_or_address(inner.text));
      if (contains(network, other)) matches.push_back(Value::array({outer.key, inner.key}));
    }
  }
  return Value::set(std::move(matches));
}

Result<Network> mergeable(const Value& item) {
  if (!item.is_string()) return type_error("operand 1 must be array or set of strings");
  const auto address = parse_address(item.as_string());
  if (address && address->v6) return builtin_error("IPv6 invalid: needs prefix length");
  return network_or_address(item.as_string());
}

// Joins `right` into `left` when left holds it or the two are the halves of one network.
bool join(Network& left, const Network& right) {
  if (contains(left, right)) return true;
  if (left.prefix != right.prefix || left.prefix == 0) return false;
  const Network parent{fill_host_bits(left.first, left.prefix - 1, false), left.prefix - 1};
  if (parent.first != left.first || !contains(parent, right)) return false;
  left = parent;
  return true;
}

Result<Value> cidr_merge(BuiltinContext& /*context*/, std::span<const Value> args) {
  if (!args[0].is_array() && !args[0].is_set()) {
    return operand_error_one_of(1, "set, array", args[0]);
  }
  std::vector<Network> networks;
  for (const Value& item : args[0].items()) {
    COFFER_TRY(networks.emplace_back(), mergeable(item));
  }
  std::ranges::sort(networks, [](const Network& a, const Network& b) {
    return a.first != b.first ? a.first < b.first : a.prefix < b.prefix;
  });
  std::vector<Network> merged;
  for (const Network& network : networks) {
    merged.push_back(network);
    // Each join may make the left neighbour's other half.
    while (merged.size() > 1 && join(merged[merged.size() - 2], merged.back())) merged.pop_back();
  }
  std::vector<Value> texts;
  for (const Network& network : merged) {
    texts.push_back(Value::string(fmt::format("{}/{}", to_text(network.first), network.prefix)));
  }
  return Value::set(std::move(texts));
}

constexpr std::array<Builtin, 7> kBuiltins = {{
    {"net.cidr_contains", 2, cidr_contains},
    {"net.cidr_overlap", 2, cidr_contains, kDeprecated},
    {"net.cidr_intersects", 2, cidr_intersects},
    {"net.cidr_is_valid", 1, cidr_is_valid},
    {"net.cidr_expand", 1, cidr_expand},
    {"net.cidr_contains_matches", 2, cidr_contains_matches},
    {"net.cidr_merge", 1, cidr_merge},
}};

}  // namespace

std::span<const Builtin> net_builtins() { return kBuiltins; }

}  // namespace coffer::policy
