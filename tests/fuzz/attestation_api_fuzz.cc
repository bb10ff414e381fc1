// The attestation service's port as anybody reaches it: the first byte chooses the message, the
// rest is its protobuf. Without the administrator's token nothing is set or shown.

#include <cstddef>
#include <cstdint>

#include "attestation/kbs/attestation_api.h"
#include "rpc/protos/attestation_service.pb.h"
#include "rpc/protos/reference_values.pb.h"
#include "tests/fuzz/broker_parts.h"

namespace {

using namespace coffer;

struct World : fuzz::BrokerParts {
  kbs::AttestationApi api{{.values = values,
                           .policies = policies,
                           .service = service,
                           .admin = admin,
                           .metrics = metrics,
                           .policy_id = "default",
                           .clock = fuzz::fixed_time}};
};

template <typename Message>
bool parse(Message& message, const std::uint8_t* data, std::size_t size) {
  return message.ParseFromArray(data, static_cast<int>(size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
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
