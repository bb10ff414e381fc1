// semver.compare and semver.is_valid: Semantic Versioning 2.0.0.

#include <array>
#include <optional>
#include <vector>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

struct Version {
  std::array<BigInt, 3> core;
  std::vector<std::string> pre_release;
};

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_identifier(std::string_view text) {
  constexpr std::string_view kAllowed =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-";
  return !text.empty() && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<Version> parse_version(std::string_view text) {
  const auto plus = text.find('+');
  if (plus != std::string_view::npos) {
    for (const auto& part : split(text.substr(plus + 1), '.')) {
      if (!is_identifier(part)) return std::nullopt;
    }
    text = text.substr(0, plus);
  }
  Version version;
  const auto dash = text.find('-');
  if (dash != std::string_view::npos) {
    version.pre_release = split(text.substr(dash + 1), '.');
    for (const auto& part : version.pre_release) {
      if (!is_identifier(part)) return std::nullopt;
    }
    text = text.substr(0, dash);
  }
  const auto core = split(text, '.');
  if (core.size() != version.core.size()) return std::nullopt;
  for (std::size_t i = 0; i < core.size(); ++i) {
    if (!all_digits(core[i])) return std::nullopt;
    version.core.at(i) = *BigInt::parse(core[i]);
  }
  return version;
}

// Section 11: numeric identifiers compare as numbers and come before the others.
int compare_identifiers(const std::string& a, const std::string& b) {
  const bool a_number = all_digits(a);
  const bool b_number = all_digits(b);
  if (a_number && b_number) return BigInt::parse(a)->compare(*BigInt::parse(b));
  if (a_number != b_number) return a_number ? -1 : 1;
  return a.compare(b);
}

int compare_versions(const Version& a, const Version& b) {
  for (std::size_t i = 0; i < a.core.size(); ++i) {
    const int order = a.core.at(i).compare(b.core.at(i));
    if (order != 0) return order;
  }
  if (a.pre_release.empty() != b.pre_release.empty()) return a.pre_release.empty() ? 1 : -1;
  const std::size_t common = std::min(a.pre_release.size(), b.pre_release.size());
  for (std::size_t i = 0; i < common; ++i) {
    const int order = compare_identifiers(a.pre_release[i], b.pre_release[i]);
    if (order != 0) return order;
  }
  return static_cast<int>(a.pre_release.size() > common) -
         static_cast<int>(b.pre_release.size() > common);
}

Result<Version> version_operand(std::span<const Value> args, std::size_t position) {
  COFFER_TRY(const auto text, string_operand(args, position));
  auto version = parse_version(text);
  if (!version) {
    return builtin_error("operand " + std::to_string(position) + ": string \"" + std::string(text) +
                         "\" is not a valid SemVer");
  }
  return *std::move(version);
}

Result<Value> compare(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const Version a, version_operand(args, 1));
  COFFER_TRY(const Version b, version_operand(args, 2));
  const int order = compare_versions(a, b);
  return Value::integer(order < 0 ? -1 : static_cast<int>(order > 0));
}

Result<Value> is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::boolean(args[0].is_string() && parse_version(args[0].as_string()).has_value());
}

constexpr std::array<Builtin, 2> kBuiltins = {{
    {"semver.compare", 2, compare},
    {"semver.is_valid", 1, is_valid},
}};

}  // namespace

std::span<const Builtin> semver_builtins() { return kBuiltins; }

}  // namespace coffer::policy
