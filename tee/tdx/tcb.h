// Where a platform stands: the TCB level of the SGX/TDX platform, of its TDX module and of its
// quoting enclave, and what follows from the three.
//
// Algorithm: Intel PCS API v4, "Get TDX TCB Info", section on determining the TCB status; its
// convergence and TD relaunch rules as Intel's quote verification library applies them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tee/tdx/collateral.h"
#include "tee/tdx/pck_extension.h"
#include "tee/tdx/quote.h"

namespace coffer::tdx {

// Pointers point into the documents that were evaluated; null where nothing matched.
struct TcbEvaluation {
  const TcbLevel* sgx_level = nullptr;  // reached by the PCK's components alone
  const TcbLevel* tdx_level = nullptr;  // reached by TEE_TCB_SVN too: the platform's level
  bool module_by_identity = false;      // TEE_TCB_SVN[1] > 0: an identity is needed
  std::string module_id;                // "TDX_01", when it is
  const TdxModule* module = nullptr;    // the identity, or tdxModule
  const IsvLevel* module_level = nullptr;
  const IsvLevel* qe_level = nullptr;
  // Nothing when some part has no level: such a platform is not supported, and must be refused.
  std::optional<TcbStatus> status;
  std::vector<std::string> advisory_ids;  // of all matching levels, sorted, each once
  // The oldest of the matching levels' dates.
  std::optional<tee::UnixTime> tcb_date;
};

[[nodiscard]] TcbEvaluation evaluate_tcb(const TcbInfo& info, const QeIdentity& qe_identity,
                                         const PckExtension& pck, const Quote& quote);

// What the status of a whole becomes when a part (module, QE) has `part`.
[[nodiscard]] TcbStatus converge(TcbStatus whole, TcbStatus part);

}  // namespace coffer::tdx
