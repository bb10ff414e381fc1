// One HTTP exchange, as the broker sees it: no sockets here.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::kbs {

struct HttpRequest {
  std::string method;  // "GET", ...
  std::string target;  // as received: path and query
  std::string body;
  std::string authorization, cookie;  // header values; empty: none

  // Of the target, without the query.
  [[nodiscard]] std::string_view path() const;
  // The path's segments below `prefix`; empty when it stands elsewhere.
  [[nodiscard]] std::vector<std::string> segments(std::string_view prefix) const;
  // Percent-decoded, or as it stands where that cannot be; of a name that stands twice the last.
  [[nodiscard]] std::map<std::string, std::string> query() const;
  // The token of "Authorization: Bearer TOKEN"; empty when there is none.
  [[nodiscard]] std::string_view bearer() const;
  // The value of that cookie; empty when there is none.
  [[nodiscard]] std::string_view cookie_named(std::string_view name) const;
};

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::string set_cookie = {};
  // For the log: what went wrong; empty when nothing did.
  std::string cause = {};
};

}  // namespace coffer::kbs
