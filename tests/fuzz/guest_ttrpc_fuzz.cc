// What comes over the Unix sockets of the guest's ttrpc services. The first byte picks the method,
// the rest is its message.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "attestation/guest_api/ttrpc_services.h"
#include "tests/attestation/guest_api/fake_backend.h"

namespace {

using namespace coffer;

Result<std::string> serve(const rpc::Router& router, const std::string& service,
                          const std::string& method, std::string payload) {
  asio::io_context loop(1);
  std::optional<Result<std::string>> out;
  rpc::CallContext context;
  context.service = service;
  context.method = method;
  const auto* found = router.find(service, method);
  check(found != nullptr, "the method is there");
  asio::co_spawn(loop, found->unary(std::move(context), rpc::Payload(std::move(payload))),
                 [&](const std::exception_ptr& error, Result<std::string> ended) {
                   check(!error, "no exception leaves a handler");
                   out.emplace(std::move(ended));
                 });
  loop.run();
  check(out.has_value(), "the handler ends");
  return *std::move(out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  guest_api::FakeBackend backend;
  rpc::Router router;
  guest_api::add_attestation_agent(router, backend, Bytes(48, 7));
  guest_api::add_data_hub(router, backend);
  const auto methods = router.list();
  const auto& [service, method] = methods[data[0] % methods.size()];
  const auto answer =
      serve(router, service, method, std::string(as_text(BytesView(data + 1, size - 1))));
  if (!answer) check(!answer.error().message().empty(), "a refusal says why");
  return 0;
}
