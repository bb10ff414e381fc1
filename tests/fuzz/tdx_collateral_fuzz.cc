// Collateral comes over the network. The first byte chooses the document.
#include <cstddef>
#include <cstdint>

#include "tee/tdx/collateral.h"
#include "tee/tdx/expectations.h"
#include "tee/tdx/pck_extension.h"
#include "tee/tdx/qgs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  if (size == 0) return 0;
  const BytesView bytes = BytesView(data, size).subspan(1);
  tdx::Expectations want;
  switch (data[0] % 5) {
    case 0:
      static_cast<void>(tdx::parse_tcb_info(as_text(bytes)));
      break;
    case 1:
      static_cast<void>(tdx::parse_qe_identity(as_text(bytes)));
      break;
    case 2:
      static_cast<void>(tdx::parse_pck_extension(bytes));
      break;
    case 3:
      static_cast<void>(tdx::apply_policy(as_text(bytes), want));
      break;
    default:
      static_cast<void>(tdx::qgs_response(bytes));
  }
  return 0;
}
