// The leaf's custom extensions. AMD 57230 rev 1.00, table 8.
#include <fmt/format.h>

#include <array>

#include "tee/der.h"
#include "tee/sev-snp/certificates.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kStructVersion = "1.3.6.1.4.1.3704.1.1";
constexpr std::string_view kProductName = "1.3.6.1.4.1.3704.1.2";
constexpr std::string_view kBlSpl = "1.3.6.1.4.1.3704.1.3.1";
constexpr std::string_view kTeeSpl = "1.3.6.1.4.1.3704.1.3.2";
constexpr std::string_view kSnpSpl = "1.3.6.1.4.1.3704.1.3.3";
constexpr std::string_view kUcodeSpl = "1.3.6.1.4.1.3704.1.3.8";
constexpr std::string_view kFmcSpl = "1.3.6.1.4.1.3704.1.3.9";
constexpr std::string_view kHwid = "1.3.6.1.4.1.3704.1.4";
constexpr std::string_view kCspId = "1.3.6.1.4.1.3704.1.5";
constexpr std::size_t kHwidSize = 64;
constexpr std::size_t kTurinHwidSize = 8;
constexpr std::uint64_t kTurinStructVersion = 1;

// Reads one extension after another and gathers what is wrong with them.
class Reader {
 public:
  explicit Reader(const tee::Certificate& leaf) : leaf_(leaf) {}

  void bad(std::string_view what, std::string_view why) {
    faults_ += fmt::format("{}{}: {}", faults_.empty() ? "" : "; ", what, why);
  }
  [[nodiscard]] const std::string& faults() const { return faults_; }

  const Bytes* raw(std::string_view oid) const {
    const tee::Extension* extension = leaf_.extension(oid);
    return extension == nullptr ? nullptr : &extension->value;
  }

  std::uint64_t integer(std::string_view oid, std::string_view name, std::uint64_t max) {
    const Bytes* value = raw(oid);
    if (value == nullptr) return bad(name, "missing"), 0;
    tee::DerReader reader(*value, name);
    const auto number = reader.unsigned_integer();
    if (!number) return bad(name, number.error().message()), 0;
    if (!reader.at_end()) return bad(name, "trailing octets"), 0;
    if (*number > max) return bad(name, fmt::format("{}, want 0..{}", *number, max)), 0;
    return *number;
  }

  std::uint8_t spl(std::string_view oid, std::string_view name) {
    return static_cast<std::uint8_t>(integer(oid, name, 0xFF));
  }

  std::string text(std::string_view oid, std::string_view name) {
    const Bytes* value = raw(oid);
    if (value == nullptr) return bad(name, "missing"), "";
    tee::DerReader reader(*value, name);
    const auto content = reader.expect(tee::DerTag::kIa5String);
    if (!content) return bad(name, content.error().message()), "";
    if (!reader.at_end()) return bad(name, "trailing octets"), "";
    return std::string(as_text(*content));
  }

  // Raw octets, or the same wrapped in an OCTET STRING: both are in the field. The lengths differ
  // from each other by two, so that one cannot be taken for the other.
  Bytes hwid(std::size_t size) {
    const Bytes* value = raw(kHwid);
    if (value == nullptr) return bad("HWID", "missing"), Bytes{};
    if (value->size() == size) return *value;
    tee::DerReader reader(*value, "HWID");
    const auto content = reader.expect(tee::DerTag::kOctetString);
    if (content && content->size() == size && reader.at_end()) {
      return {content->begin(), content->end()};
    }
    bad("HWID", fmt::format("{} octets, want {}", value->size(), size));
    return {};
  }

 private:
  const tee::Certificate& leaf_;
  std::string faults_;
};

void read_identity(Reader& reader, LeafKind kind, LeafExtensions& out) {
  const bool has_hwid = reader.raw(kHwid) != nullptr;
  const bool has_csp_id = reader.raw(kCspId) != nullptr;
  if (kind == LeafKind::kVcek) {
    if (has_csp_id) reader.bad("CSP_ID", "present in a VCEK");
    const bool turin = out.struct_version == kTurinStructVersion;
    out.hwid = reader.hwid(turin ? kTurinHwidSize : kHwidSize);
  } else {
    if (has_hwid) reader.bad("HWID", "present in a VLEK");
    out.csp_id = reader.text(kCspId, "CSP_ID");
  }
}

}  // namespace

std::string_view LeafExtensions::product() const {
  const std::string_view name = product_name;
  return name.substr(0, name.find('-'));
}

std::optional<LeafKind> leaf_kind(const tee::Certificate& certificate) {
  const std::string_view name = certificate.subject().common_name();
  if (name == "SEV-VCEK") return LeafKind::kVcek;
  if (name == "SEV-VLEK") return LeafKind::kVlek;
  return std::nullopt;
}

Result<LeafExtensions> read_leaf_extensions(const tee::Certificate& leaf, LeafKind kind) {
  Reader reader(leaf);
  LeafExtensions out;
  out.struct_version = reader.integer(kStructVersion, "structVersion", kTurinStructVersion);
  out.product_name = reader.text(kProductName, "productName");
  out.tcb.boot_loader = reader.spl(kBlSpl, "blSPL");
  out.tcb.tee = reader.spl(kTeeSpl, "teeSPL");
  out.tcb.snp = reader.spl(kSnpSpl, "snpSPL");
  out.tcb.microcode = reader.spl(kUcodeSpl, "ucodeSPL");
  if (out.struct_version == kTurinStructVersion) {
    out.tcb.fmc = reader.spl(kFmcSpl, "fmcSPL");
  } else if (reader.raw(kFmcSpl) != nullptr) {
    reader.bad("fmcSPL", "present before structVersion 1");
  }
  read_identity(reader, kind, out);
  if (!reader.faults().empty()) {
    return fail(Code::kInvalidArgument, fmt::format("read leaf extensions: {}", reader.faults()));
  }
  return out;
}

}  // namespace coffer::snp
