// Which handler serves which method. Filled once, before serving; a value.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"
#include "rpc/ttrpc/stream.h"

namespace coffer::rpc {

// Serialized request in, serialized response out. An error becomes the call's status: its code, and
// its to_string() as the message. Runs until it returns, its deadline passes, or its connection is
// lost; the last two cancel it (see base/loop.h).
using UnaryHandler = std::function<Task<Result<std::string>>(CallContext, Payload)>;

// Serves one streaming call. A returned message ends the call with a Response that carries it
// (client streaming), an empty one with a closing Data frame (server streaming, both ways), an
// error with its status. `stream` lives until the handler returns.
using StreamHandler = std::function<Task<Result<std::optional<std::string>>>(CallContext, Stream&)>;

class Router {
 public:
  // A method added twice is a bug of ours.
  void add(std::string service, std::string method, UnaryHandler handler);
  void add_stream(std::string service, std::string method, StreamHandler handler);

  struct Method {
    UnaryHandler unary;  // one of the two is set
    StreamHandler stream;
  };
  // Null: unknown.
  [[nodiscard]] const Method* find(std::string_view service, std::string_view method) const;
  [[nodiscard]] bool knows_service(std::string_view service) const;
  [[nodiscard]] bool knows(std::string_view service, std::string_view method) const {
    return find(service, method) != nullptr;
  }
  // {service, method}, sorted.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> list() const;

 private:
  using Methods = std::map<std::string, Method, std::less<>>;
  std::map<std::string, Methods, std::less<>> services_;
};

}  // namespace coffer::rpc
