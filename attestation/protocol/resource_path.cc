#include "attestation/protocol/resource_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace coffer::protocol {
namespace {

constexpr std::size_t kMaxSegment = 255;
constexpr std::size_t kMaxSegments = 16;
constexpr std::size_t kMaxUri = 4096;

std::unexpected<Error> refuse(std::string_view path, std::string_view why) {
  return fail(Code::kInvalidArgument,
              fmt::format("read resource path '{}': {}", path.substr(0, kMaxUri), why));
}

bool is_segment_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

bool is_segment(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSegment && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), is_segment_char);
}

bool is_query_char(char c) {
  return is_segment_char(c) || std::string_view("&=%~:/,+").find(c) != std::string_view::npos;
}

Result<std::vector<std::string>> split(std::string_view path) {
  if (path.size() > kMaxUri) return refuse(path, "it is too long");
  std::vector<std::string> out;
  for (;;) {
    const auto slash = path.find('/');
    const auto segment = path.substr(0, slash);
    if (!is_segment(segment)) {
      return refuse(path, fmt::format("segment '{}': want letters, digits, '_', '-' and '.', not "
                                      "beginning with a dot",
                                      segment));
    }
    out.emplace_back(segment);
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
    if (out.size() == kMaxSegments) return refuse(path, "it has too many segments");
  }
}

}  // namespace

std::string ResourcePath::to_string() const {
  return fmt::format("{}/{}/{}", repository, type, tag);
}

Result<ResourcePath> parse_resource_path(std::string_view path) {
  COFFER_TRY(auto segments, split(path));
  if (segments.size() != 3) {
    return refuse(path,
                  fmt::format("it has {} segments, want repository/type/tag", segments.size()));
  }
  return ResourcePath{.repository = std::move(segments[0]),
                      .type = std::move(segments[1]),
                      .tag = std::move(segments[2])};
}

std::string ResourceUri::request_path() const {
  return plugin + "/" + path + (query.empty() ? "" : "?" + query);
}

Result<ResourceUri> parse_resource_uri(std::string_view uri) {
  if (uri.size() > kMaxUri) return refuse(uri, "it is too long");
  const auto scheme_end = uri.find("://");
  const auto scheme = uri.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos || !scheme.starts_with("kbs")) {
    return refuse(uri, "want kbs:///repository/type/tag");
  }
  ResourceUri out{.plugin = "resource", .host = {}, .path = {}, .query = {}};
  if (scheme != "kbs") {
    if (scheme[3] != '+' || !is_segment(scheme.substr(4))) {
      return refuse(uri, "want kbs:// or kbs+PLUGIN://");
    }
    out.plugin = scheme.substr(4);
  }
  auto rest = uri.substr(scheme_end + 3);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return refuse(uri, "it has no path after the host");
  out.host = rest.substr(0, slash);
  if (!std::all_of(out.host.begin(), out.host.end(),
                   [](char c) { return is_segment_char(c) || c == ':' || c == '[' || c == ']'; })) {
    return refuse(uri, "the host has foreign characters");
  }
  rest.remove_prefix(slash + 1);
  const auto question = rest.find('?');
  if (question != std::string_view::npos) out.query = rest.substr(question + 1);
  if (!std::all_of(out.query.begin(), out.query.end(), is_query_char)) {
    return refuse(uri, "the query has foreign characters");
  }
  out.path = rest.substr(0, question);
  if (out.plugin == "resource") {
    COFFER_TRY_VOID(parse_resource_path(out.path));
    if (!out.query.empty()) return refuse(uri, "a resource takes no query");
  } else {
    COFFER_TRY_VOID(split(out.path));
  }
  return out;
}

}  // namespace coffer::protocol
