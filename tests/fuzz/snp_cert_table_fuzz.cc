// The certificate table is the host's word. What its entries hold is the x509_extensions target's.
#include <cstddef>
#include <cstdint>

#include "tee/sev-snp/cert_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const auto table = snp::parse_cert_table(BytesView(data, size));
  if (!table) return 0;
  const auto again = snp::parse_cert_table(snp::encode_cert_table(*table));
  std::size_t total = 0;
  for (const auto& entry : *table) total += entry.data.size();
  // Padding to whole pages may take a table that was just within the limit over it.
  if (total < std::size_t{1} << 19U) {
    check(again && again->size() == table->size(), "table read again as it was written");
  }
  return 0;
}
