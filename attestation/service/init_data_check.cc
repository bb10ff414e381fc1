#include "attestation/service/init_data_check.h"

namespace coffer::appraisal {
namespace {

constexpr std::string_view kProtocol = "key broker protocol 0.4.0, attestation";

}  // namespace

void check_init_data(const std::optional<Bytes>& want, std::string_view found,
                     tee::Verdict& verdict) {
  if (want) {
    verdict.add_equal("init_data", to_hex(*want), found, kProtocol);
  } else {
    verdict.add_waived("init_data", found, "none was presented, and none is claimed");
  }
}

}  // namespace coffer::appraisal
