// The REST API that a pod's containers know: GET /cdh/resource/REPOSITORY/TYPE/TAG, GET
// /aa/token?token_type=kbs. One request a connection, one after another.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::attester {

struct RestReply {
  int status = 200;
  std::string type = "application/octet-stream";
  std::string body;
};

// What stands behind the API.
struct RestBackend {
  std::function<Result<std::string>(std::string_view path)> resource;  // "default/key/1"
  std::function<Result<std::string>()> token;
};

// Answers a request's head ("GET /path HTTP/1.1\r\n..."), without I/O of its own. 400, 404, 405 as
// CoCo's server; an error of the backend is 404 (no such resource), 403 (denied) or 500 with its
// message.
[[nodiscard]] RestReply answer(std::string_view head, const RestBackend& backend);

// 127.0.0.1 and nothing else: the pod's containers share the guest's network.
[[nodiscard]] Result<Fd> listen_on_loopback(int port);
// Returns only when it cannot go on.
[[nodiscard]] Status serve_rest(const Fd& listener, const RestBackend& backend);

}  // namespace coffer::attester
