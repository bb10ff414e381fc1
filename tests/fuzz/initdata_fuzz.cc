// Initdata comes from whoever may create pods, by way of the host. The first byte chooses the form:
// TOML, gzip, the disk's image, or an annotation.
#include <cstddef>
#include <cstdint>

#include "attestation/initdata/disk.h"
#include "attestation/initdata/gzip.h"
#include "attestation/initdata/initdata.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  if (size == 0) return 0;
  const BytesView rest = BytesView(data, size).subspan(1);
  switch (data[0] % 4) {
    case 0:
      if (const auto parsed = initdata::parse(as_text(rest))) {
        check(parsed->data.size() <= initdata::kMaxEntries, "more entries than allowed");
      }
      break;
    case 1: {
      const auto text = initdata::gunzip(rest, std::size_t{64} << 10U);
      if (text) {
        const auto again = initdata::gunzip(initdata::gzip(*text), text->size());
        check(again && *again == *text, "packed again, it is another text");
      }
      break;
    }
    case 2:
      if (const auto packed = initdata::read_disk(rest)) {
        const Bytes again = initdata::make_disk(*packed);
        check(Bytes(rest.begin(), rest.end()) == again, "made again, it is another disk");
      }
      break;
    default:
      std::ignore = initdata::unpack(as_text(rest));
  }
  return 0;
}
