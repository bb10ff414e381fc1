// Typed handlers and calls over protobuf messages. This header needs no protobuf itself: Req and
// Resp are any types with ParseFromArray, SerializeToString and ByteSizeLong.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"
#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/router.h"

namespace coffer::rpc {

template <typename Message>
[[nodiscard]] Result<Message> parse_message(std::string_view bytes, std::string_view what) {
  Message message;
  // A frame is at most 4 MiB: the size fits an int.
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Code::kInvalidArgument, "parse " + std::string(what) + ": not a valid message");
  }
  return message;
}

template <typename Message>
[[nodiscard]] Result<std::string> serialize_message(const Message& message, std::string_view what) {
  std::string bytes;
  // Fails on text that is not UTF-8, and past 2 GiB.
  if (!message.SerializeToString(&bytes)) {
    return fail(Code::kInternal, "serialize " + std::string(what) + ": not a valid message");
  }
  return bytes;
}

template <typename Req, typename Resp>
using TypedHandler = std::function<Task<Result<Resp>>(CallContext, Req)>;

template <typename Req, typename Resp>
void add(Router& router, std::string service, std::string method, TypedHandler<Req, Resp> handler) {
  router.add(std::move(service), std::move(method),
             // The router, which owns this function, outlives every call of it.
             [handler = std::move(handler)](CallContext context,
                                            Payload payload) -> Task<Result<std::string>> {
               Result<Req> request =
                   parse_message<Req>(payload.view(), context.method + " request");
               if (!request) co_return std::unexpected(std::move(request).error());
               payload = Payload();
               const std::string method_name = context.method;
               Result<Resp> response = co_await handler(std::move(context), *std::move(request));
               if (!response) co_return std::unexpected(std::move(response).error());
               co_return serialize_message(*response, method_name + " response");
             });
}

template <typename Resp, typename Req>
[[nodiscard]] Task<Result<Resp>> call(Client& client, std::string service, std::string method,
                                      const Req& request, CallOptions options = {}) {
  Result<std::string> bytes = serialize_message(request, method + " request");
  if (!bytes) co_return std::unexpected(std::move(bytes).error());
  Result<Payload> answer =
      co_await client.call(service, method, *std::move(bytes), std::move(options));
  if (!answer) co_return std::unexpected(std::move(answer).error());
  co_return parse_message<Resp>(answer->view(), method + " response");
}

}  // namespace coffer::rpc
