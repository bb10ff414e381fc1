// Where a secret is kept: repository/type/tag, and the URIs that name it.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::protocol {

struct ResourcePath {
  std::string repository;
  std::string type;
  std::string tag;

  // "repository/type/tag".
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] bool operator==(const ResourcePath&) const = default;
};

// Exactly three segments, each of [A-Za-z0-9_.-] and not beginning with a dot, at most 255 bytes.
[[nodiscard]] Result<ResourcePath> parse_resource_path(std::string_view path);

// kbs[+PLUGIN]://[HOST[:PORT]]/PATH[?QUERY]
struct ResourceUri {
  std::string plugin;  // "resource" when none is named
  std::string host;    // mostly empty. Which broker is asked is configuration, never the URI's word
  std::string path;    // without the leading slash; each segment as in parse_resource_path
  std::string query;   // without the question mark

  // Below /kbs/v0/: "resource/a/b/c", "plugin/path?query".
  [[nodiscard]] std::string request_path() const;
};
// For the plugin `resource` the path must be a ResourcePath and the query empty.
[[nodiscard]] Result<ResourceUri> parse_resource_uri(std::string_view uri);

}  // namespace coffer::protocol
