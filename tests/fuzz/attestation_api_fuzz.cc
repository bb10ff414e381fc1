// The attestation service's port as anybody reaches it: the first byte chooses the message, the
// rest is its protobuf. Without the administrator's token nothing is set or shown.

#include <cstddef>
#include <cstdint>

#include "attestation/jose/key.h"
#include "attestation/kbs/attestation_api.h"
#include "rpc/protos/attestation_service.pb.h"
#include "rpc/protos/reference_values.pb.h"
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
  kbs::AdminAuth admin{{jose::PrivateKey::generate(jose::KeyType::kEd25519)->public_key()}};
  kbs::Metrics metrics;
  kbs::AttestationApi api{{.values = values,
                           .policies = policies,
                           .service = service,
                           .admin = admin,
                           .metrics = metrics,
                           .policy_id = "default",
                           .clock = fixed_time}};
};

template <typename Message>
bool parse(Message& message, const std::uint8_t* data, std::size_t size) {
  return message.ParseFromArray(data, static_cast<int>(size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  static const bool kReady = world.policies.install_defaults().has_value();
  check(kReady, "install policies");
  if (size == 0) return 0;
  const std::uint8_t which = data[0] % 5;
  ++data;
  --size;
  if (which == 0) {
    attestation::AttestationRequest request;
    attestation::AttestationResponse response;
    if (!parse(request, data, size)) return 0;
    const auto status = world.api.evaluate(request, response);
    check(status.has_value() != response.attestation_token().empty(), "a token of a refusal");
  } else if (which == 1) {
    attestation::ChallengeRequest request;
    attestation::ChallengeResponse response;
    if (parse(request, data, size)) (void)world.api.challenge(request, response);
  } else if (which == 2) {
    attestation::SetPolicyRequest request;
    if (parse(request, data, size)) {
      check(!world.api.set_policy(request, request.policy_id()), "a policy was set");
    }
  } else if (which == 3) {
    reference::ReferenceValueRegisterRequest request;
    if (parse(request, data, size)) {
      check(!world.api.register_value(request, request.message()), "a value was set");
    }
  } else {
    reference::ReferenceValueQueryRequest request;
    reference::ReferenceValueQueryResponse response;
    if (parse(request, data, size)) {
      check(!world.api.query_value(request, request.reference_value_id(), response),
            "a value was shown");
    }
  }
  return 0;
}
