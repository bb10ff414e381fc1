#include "attestation/service/init_data_check.h"

#include "tee/digest.h"

namespace coffer::appraisal {
namespace {

constexpr std::string_view kProtocol = "key broker protocol 0.4.0, attestation";
constexpr std::size_t kPcrBytes = 32;

}  // namespace

void check_init_data(const std::optional<Bytes>& want, std::string_view found,
                     tee::Verdict& verdict) {
  if (want) {
    verdict.add_equal("init_data", to_hex(*want), found, kProtocol);
  } else {
    verdict.add_waived("init_data", found, "none was presented, and none is claimed");
  }
}

Bytes extended_init_data(BytesView digest) {
  Bytes bytes(digest.begin(), digest.end());
  bytes.resize(kPcrBytes);
  tee::Hasher hasher(tee::HashAlgorithm::kSha256);
  return hasher.update(Bytes(kPcrBytes)).update(bytes).finish();
}

}  // namespace coffer::appraisal
