// What only the maker of a TPM does with it.
#include <span>

#include "tee/tpm/tss.h"

namespace coffer::tpm {
namespace {

// Every bank that an implementation may have; what it lacks it leaves out.
constexpr TPMI_ALG_HASH kBanks[] = {TPM2_ALG_SHA1, TPM2_ALG_SHA256, TPM2_ALG_SHA384,
                                    TPM2_ALG_SHA512};
constexpr BYTE kAllPcrs = 0xff;

}  // namespace

Status Tpm::allocate_bank(eventlog::Alg bank) {
  TPML_PCR_SELECTION wanted{};
  for (const TPMI_ALG_HASH each : kBanks) {
    TPMS_PCR_SELECTION& selection = wanted.pcrSelections[wanted.count++];
    selection.hash = each;
    selection.sizeofSelect = 3;
    if (each != static_cast<TPMI_ALG_HASH>(bank)) continue;
    for (BYTE& pcrs : std::span(selection.pcrSelect).first(3)) pcrs = kAllPcrs;
  }
  TPMI_YES_NO done = TPM2_NO;
  UINT32 most = 0;
  UINT32 needed = 0;
  UINT32 available = 0;
  const TSS2_RC rc =
      Esys_PCR_Allocate(state_->esys, ESYS_TR_RH_PLATFORM, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                        ESYS_TR_NONE, &wanted, &done, &most, &needed, &available);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "allocate a PCR bank");
  if (done == TPM2_YES) return {};
  return fail(Code::kResourceExhausted,
              fmt::format("allocate a PCR bank: {} bytes needed, {} available", needed, available));
}

Status Tpm::shut_down() {
  if (state_->ak != ESYS_TR_NONE) {
    static_cast<void>(Esys_FlushContext(state_->esys, state_->ak));
    state_->ak = ESYS_TR_NONE;
  }
  const TSS2_RC rc =
      Esys_Shutdown(state_->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_SU_CLEAR);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "shut the TPM down");
  return {};
}

}  // namespace coffer::tpm
