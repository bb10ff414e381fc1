// The broker as anybody reaches it: the first byte chooses the route, the rest is split at a
// newline into a cookie or token, and the body. Nothing that is not signed may change anything or
// be answered with 200, but for what is public.

#include <cstddef>
#include <cstdint>

#include "attestation/kbs/broker.h"
#include "tests/fuzz/broker_parts.h"

namespace {

using namespace coffer;

struct World : fuzz::BrokerParts {
  kbs::Sessions sessions{*kbs::Sessions::open(store, 300)};
  kbs::Broker broker{{.store = store,
                      .values = values,
                      .policies = policies,
                      .records = records,
                      .service = service,
                      .signer = signer,
                      .sessions = sessions,
                      .admin = admin,
                      .metrics = metrics,
                      .policy_id = "default",
                      .clock = fuzz::fixed_time}};
  // A session that is open, so that bodies of attest are read.
  std::string cookie =
      "kbs-session-id=" + sessions.seal(sessions.begin(protocol::Tee::kSnp, fuzz::fixed_time()));
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size == 0) return 0;
  static constexpr std::pair<const char*, const char*> kRoutes[] = {
      {"POST", "/kbs/v0/auth"},
      {"POST", "/kbs/v0/attest"},
      {"GET", "/kbs/v0/resource/a/b/c?x=%41"},
      {"POST", "/kbs/v0/resource/a/b/c"},
      {"POST", "/kbs/v0/reference-value"},
      {"POST", "/kbs/v0/resource-policy"},
      {"GET", nullptr}};
  const auto& [method, target] = kRoutes[data[0] % std::size(kRoutes)];
  const std::string_view rest = as_text({data + 1, size - 1});
  const std::size_t line = std::min(rest.find('\n'), rest.size());
  const std::string head(rest.substr(0, line));
  kbs::HttpRequest request{.method = method,
                           .target = target == nullptr ? "/" + head : target,
                           .body = std::string(rest.substr(std::min(line + 1, rest.size()))),
                           .authorization = "Bearer " + head,
                           .cookie = head.empty() ? world.cookie : "kbs-session-id=" + head};
  const auto reply = world.broker.handle(request);
  const bool open = reply.status == 200;
  const bool is_public = std::string_view(method) == "GET" && target == nullptr;
  check(!open || is_public || std::string_view(target) == "/kbs/v0/auth",
        "something that nobody signed for was answered");
  return 0;
}
