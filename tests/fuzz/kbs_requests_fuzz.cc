// The broker as anybody reaches it: the first byte chooses the route, the rest is split at a
// newline into a cookie or token, and the body. Nothing that is not signed may change anything or
// be answered with 200, but for what is public.

#include <cstddef>
#include <cstdint>

#include "attestation/jose/key.h"
#include "attestation/kbs/broker.h"
#include "tests/fuzz/memory_store.h"

namespace {

using namespace coffer;

store::UnixTime fixed_time() { return 1'800'000'000; }

struct World {
  fuzz::MemoryStore store;
  rv::ValueSet values{store};
  appraisal::Policies policies{store, values};
  appraisal::Records records{store, 100};
  appraisal::EvidenceVerifier verifier{[] {
    appraisal::TrustConfig config;
    config.allow_sample = true;
    return config;
  }()};
  appraisal::TokenSigner signer{
      *appraisal::TokenSigner::make(*jose::PrivateKey::generate(jose::KeyType::kEcP256), {})};
  appraisal::AttestationService service{verifier, policies, records, signer};
  kbs::Sessions sessions{*kbs::Sessions::open(store, 300)};
  kbs::AdminAuth admin{{jose::PrivateKey::generate(jose::KeyType::kEd25519)->public_key()}};
  kbs::Metrics metrics;
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
                      .clock = fixed_time}};
  // A session that is open, so that bodies of attest are read.
  std::string cookie =
      "kbs-session-id=" + sessions.seal(sessions.begin(protocol::Tee::kSnp, fixed_time()));
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  static const bool kReady = world.policies.install_defaults().has_value();
  check(kReady, "install policies");
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
