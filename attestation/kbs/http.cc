#include "attestation/kbs/http.h"

#include <algorithm>
#include <cctype>

#include "base/percent.h"

namespace coffer::kbs {
namespace {

constexpr std::size_t kMaxPairs = 64;

std::string plain(std::string_view text) {
  return percent_decoded(text, Plus::kIsBlank).value_or(std::string(text));
}

std::string_view next_part(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

std::string_view HttpRequest::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::vector<std::string> HttpRequest::segments(std::string_view prefix) const {
  std::string_view rest = path();
  std::vector<std::string> out;
  if (!rest.starts_with(prefix)) return out;
  rest.remove_prefix(prefix.size());
  if (rest.empty()) return out;
  while (out.size() < kMaxPairs) {
    const bool last = rest.find('/') == std::string_view::npos;
    out.emplace_back(next_part(rest, '/'));
    if (last) break;
  }
  return out;
}

std::map<std::string, std::string> HttpRequest::query() const {
  std::map<std::string, std::string> out;
  const std::size_t at = target.find('?');
  if (at == std::string::npos) return out;
  std::string_view rest = std::string_view(target).substr(at + 1);
  while (!rest.empty() && out.size() < kMaxPairs) {
    std::string_view pair = next_part(rest, '&');
    const std::string_view name = next_part(pair, '=');
    if (!name.empty()) out[plain(name)] = plain(pair);
  }
  return out;
}

std::string_view HttpRequest::bearer() const {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view value = authorization;
  if (value.size() <= kScheme.size() ||
      !equal_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
    return {};
  }
  return value.substr(kScheme.size());
}

std::string_view HttpRequest::cookie_named(std::string_view name) const {
  std::string_view rest = cookie;
  while (!rest.empty()) {
    std::string_view pair = next_part(rest, ';');
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    const std::string_view key = next_part(pair, '=');
    if (key == name) return pair;
  }
  return {};
}

}  // namespace coffer::kbs
