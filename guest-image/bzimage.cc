#include "guest-image/bzimage.h"

#include <fmt/format.h>

#include <string_view>

#include "base/byte_reader.h"
#include "guest-image/decompress.h"

namespace coffer::guest_image {
namespace {

constexpr std::string_view kWhat = "bzImage";
constexpr std::size_t kSetupSectors = 0x1F1;   // setup_sects
constexpr std::size_t kSignature = 0x202;      // header, "HdrS"
constexpr std::size_t kPayloadOffset = 0x248;  // payload_offset, payload_length
constexpr std::uint16_t kFirstWithPayload = 0x0208;
constexpr std::size_t kSector = 512;
constexpr std::size_t kDefaultSetupSectors = 4;  // what 0 stands for
constexpr std::size_t kMaxKernel = std::size_t{256} << 20U;
// The build appends the uncompressed size to every form but gzip, which has its own.
constexpr std::size_t kAppendedSize = 4;
constexpr std::string_view kGzip = "\x1f\x8b";
constexpr std::string_view kElf =
    "\x7f"
    "ELF";

}  // namespace

Result<std::string> extract_kernel(BytesView bzimage) {
  ByteReader reader(bzimage, kWhat);
  COFFER_TRY_VOID(reader.seek(kSetupSectors));
  COFFER_TRY(const std::size_t sectors, reader.u8());
  COFFER_TRY_VOID(reader.seek(kSignature));
  COFFER_TRY(const auto signature, reader.take(4));
  COFFER_TRY(const auto version, reader.u16_le());
  if (as_text(signature) != "HdrS" || version < kFirstWithPayload) {
    return fail(Code::kInvalidArgument,
                "read bzImage: no boot protocol 2.08 header (is it an x86 kernel?)");
  }
  COFFER_TRY_VOID(reader.seek(kPayloadOffset));
  COFFER_TRY(const std::size_t offset, reader.u32_le());
  COFFER_TRY(const std::size_t length, reader.u32_le());
  const std::size_t setup = (sectors == 0 ? kDefaultSetupSectors : sectors) + 1;
  COFFER_TRY_VOID(reader.seek(setup * kSector));
  COFFER_TRY_VOID(reader.skip(offset));
  COFFER_TRY(auto payload, reader.take(length));
  if (!as_text(payload).starts_with(kGzip) && payload.size() > kAppendedSize) {
    payload = payload.first(payload.size() - kAppendedSize);
  }
  COFFER_TRY(auto kernel, decompress(as_text(payload), "decompress the kernel", kMaxKernel));
  if (!std::string_view(kernel).starts_with(kElf)) {
    return fail(Code::kInvalidArgument, "read bzImage: its payload is no ELF file");
  }
  return kernel;
}

}  // namespace coffer::guest_image
