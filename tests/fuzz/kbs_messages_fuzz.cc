// Every body of the key broker protocol, from either end. The first byte chooses.
#include <cstddef>
#include <cstdint>

#include "attestation/protocol/messages.h"
#include "attestation/protocol/resource_path.h"
#include "base/bytes.h"

namespace {

using namespace coffer;

// What was read and written is read again.
template <typename T>
void read_twice(const Result<T>& message, Result<T> (*parse)(std::string_view)) {
  if (!message) return;
  check(parse(protocol::serialise(*message)).has_value(), "a message is read as it was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = as_text(BytesView(data + 1, size - 1));
  switch (data[0] % 7) {
    case 0:
      read_twice(protocol::parse_request(text), protocol::parse_request);
      break;
    case 1: {
      const auto challenge = protocol::parse_challenge(text);
      read_twice(challenge, protocol::parse_challenge);
      if (challenge) (void)challenge->selected_hash();
      break;
    }
    case 2: {
      const auto attestation = protocol::parse_attestation(text);
      read_twice(attestation, protocol::parse_attestation);
      if (attestation) {
        (void)protocol::primary_report_data(attestation->nonce, attestation->tee_pubkey,
                                            attestation->additional_evidence);
        (void)protocol::parse_additional_evidence(attestation->additional_evidence);
      }
      break;
    }
    case 3:
      read_twice(protocol::parse_response(text), protocol::parse_response);
      break;
    case 4: {
      const auto error = protocol::parse_error(text);
      read_twice(error, protocol::parse_error);
      if (error) (void)error->variant();
      break;
    }
    case 5:
      if (const auto path = protocol::parse_resource_path(text)) {
        check(protocol::parse_resource_path(path->to_string()) == *path, "a path stays itself");
      }
      break;
    default:
      if (const auto uri = protocol::parse_resource_uri(text)) {
        check(!uri->path.starts_with('/') && uri->path.find("/.") == std::string::npos,
              "a path stays in its folder");
      }
      break;
  }
  return 0;
}
