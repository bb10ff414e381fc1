// Puts handlers of grpc.AgentService behind the gate. It is the only way in: handlers take
// Authorized<Request>, which the registrar obtains from the gate after parsing and before calling.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/loop.h"
#include "guest-agent/gate.h"
#include "rpc/ttrpc/call.h"
#include "rpc/ttrpc/router.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::agent {

inline constexpr const char* kAgentService = "grpc.AgentService";

template <typename Request, typename Response>
using GatedHandler = std::function<Task<Result<Response>>(Authorized<Request>)>;

class Registrar {
 public:
  // Both must outlive every call that the router serves.
  Registrar(rpc::Router& router, const Gate& gate) : router_(router), gate_(gate) {}

  // `possible`, if set, is asked before the gate, and refuses what cannot be done whoever asks: the
  // state that a policy keeps must not change for a request that has no effect.
  template <typename Request, typename Response>
  void add(std::string method, GatedHandler<Request, Response> handler,
           std::function<Status(const Request&)> possible = {}) {
    rpc::add<Request, Response>(
        router_, kAgentService, std::move(method),
        [&gate = gate_, handler = std::move(handler), possible = std::move(possible)](
            rpc::CallContext /*context*/, Request request) -> Task<Result<Response>> {
          if (possible) COFFER_CO_TRY_VOID(possible(request));
          auto authorized = gate.authorize(std::move(request));
          if (!authorized) co_return std::unexpected(std::move(authorized).error());
          co_return co_await handler(*std::move(authorized));
        });
  }

 private:
  rpc::Router& router_;
  const Gate& gate_;
};

}  // namespace coffer::agent
