// What the users of tpm2-tss in this folder share.
#pragma once

#include <fmt/format.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include "tee/tpm/device.h"

namespace coffer::tpm {

inline std::unexpected<Error> tss_error(TSS2_RC rc, std::string_view what) {
  return fail(Code::kUnavailable, fmt::format("{}: {}", what, Tss2_RC_Decode(rc)));
}

// What ESAPI hands out is freed by Esys_Free.
struct EsysFree {
  template <typename T>
  void operator()(T* object) const {
    Esys_Free(object);
  }
};
template <typename T>
using Owned = std::unique_ptr<T, EsysFree>;

// A transient object or session, flushed when it goes.
class Transient {
 public:
  explicit Transient(ESYS_CONTEXT* esys) : esys_(esys) {}
  Transient(const Transient&) = delete;
  Transient& operator=(const Transient&) = delete;
  ~Transient() {
    if (handle_ != ESYS_TR_NONE) static_cast<void>(Esys_FlushContext(esys_, handle_));
  }
  [[nodiscard]] ESYS_TR get() const { return handle_; }
  [[nodiscard]] ESYS_TR* out() { return &handle_; }

 private:
  ESYS_CONTEXT* esys_;
  ESYS_TR handle_ = ESYS_TR_NONE;
};

// SAFETY: tpm2-tss defines a context as a block of the size that it asked for, of its own layout.
inline TSS2_TCTI_CONTEXT* as_tcti(std::byte* memory) {
  return reinterpret_cast<TSS2_TCTI_CONTEXT*>(memory);
}

// The TPM2B_PUBLIC as bytes.
[[nodiscard]] Result<Bytes> marshal(const TPM2B_PUBLIC& value);

struct Tpm::State {
  // One of the two: what tctildr loads by name, or a device, in memory of ours.
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  std::unique_ptr<std::byte[]> device;
  ESYS_CONTEXT* esys = nullptr;
  ESYS_TR ak = ESYS_TR_NONE;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (ak != ESYS_TR_NONE) static_cast<void>(Esys_FlushContext(esys, ak));
    if (esys != nullptr) Esys_Finalize(&esys);
    if (tcti != nullptr) Tss2_TctiLdr_Finalize(&tcti);
    if (device) {
      // SAFETY: every context begins with this; the macro that tpm2-tss has for it is a C cast.
      reinterpret_cast<TSS2_TCTI_CONTEXT_COMMON_V1*>(device.get())->finalize(as_tcti(device.get()));
    }
  }
};

}  // namespace coffer::tpm
