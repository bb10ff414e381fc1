#include "tee/sev-snp/kernel_hashes.h"

#include <algorithm>

#include "base/error.h"
#include "tee/firmware_footer.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kTableGuid = "9438d606-4f22-4cc9-b479-a793d411fd21";
constexpr std::string_view kCmdlineGuid = "97d02dd8-bd20-4c94-aa78-e7714d36ab2a";
constexpr std::string_view kInitrdGuid = "44baf731-3a2f-4bd7-9af1-41e29169781d";
constexpr std::string_view kKernelGuid = "4de79437-abd2-427f-b835-d5b172d2045b";
constexpr std::uint16_t kTableLength = 168;
constexpr std::uint16_t kEntryLength = 50;
constexpr std::size_t kPage = 4096;

class TableWriter {
 public:
  void header(std::string_view guid, std::uint16_t length) {
    put(tee::uefi_guid_octets(guid));
    put(std::array{static_cast<std::uint8_t>(length & 0xFFU),
                   static_cast<std::uint8_t>(length >> 8U)});
  }
  void put(BytesView bytes) {
    std::ranges::copy(bytes, table_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ += bytes.size();
  }
  [[nodiscard]] const KernelHashesTable& table() const { return table_; }

 private:
  KernelHashesTable table_{};
  std::size_t at_ = 0;
};

}  // namespace

KernelHashes hash_kernel(BytesView kernel, BytesView initrd, std::string_view cmdline) {
  tee::Hasher hasher(tee::HashAlgorithm::kSha256);
  KernelHashes out;
  hasher.update(kernel).finish(out.kernel);
  hasher.update(initrd).finish(out.initrd);
  const std::array<std::uint8_t, 1> nul{0};
  hasher.update(as_bytes(cmdline)).update(nul).finish(out.cmdline);
  return out;
}

KernelHashesTable kernel_hashes_table(const KernelHashes& hashes) {
  TableWriter writer;
  writer.header(kTableGuid, kTableLength);
  writer.header(kCmdlineGuid, kEntryLength);
  writer.put(hashes.cmdline);
  writer.header(kInitrdGuid, kEntryLength);
  writer.put(hashes.initrd);
  writer.header(kKernelGuid, kEntryLength);
  writer.put(hashes.kernel);
  return writer.table();
}

Bytes kernel_hashes_page(const KernelHashes& hashes, std::uint32_t table_gpa) {
  const std::size_t offset = table_gpa % kPage;
  check(offset + kKernelHashesSize <= kPage, "hash table crosses its page");
  Bytes page(kPage);
  const KernelHashesTable table = kernel_hashes_table(hashes);
  std::ranges::copy(table, page.begin() + static_cast<std::ptrdiff_t>(offset));
  return page;
}

}  // namespace coffer::snp
