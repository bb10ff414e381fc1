#include "tee/sev-snp/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace coffer::snp {
namespace {

// Offsets: table 23.
constexpr std::size_t kVersion = 0x000, kGuestSvn = 0x004, kPolicy = 0x008, kFamilyId = 0x010,
                      kImageId = 0x020, kVmpl = 0x030, kSignatureAlgo = 0x034, kCurrentTcb = 0x038,
                      kPlatformInfo = 0x040, kKeyInfo = 0x048, kReserved4c = 0x04C,
                      kReportData = 0x050, kMeasurement = 0x090, kHostData = 0x0C0,
                      kIdKeyDigest = 0x0E0, kAuthorKeyDigest = 0x110, kReportId = 0x140,
                      kReportIdMa = 0x160, kReportedTcb = 0x180, kCpuid = 0x188,
                      kReserved18b = 0x18B, kChipId = 0x1A0, kCommittedTcb = 0x1E0,
                      kCurrentVersion = 0x1E8, kReserved1eb = 0x1EB, kCommittedVersion = 0x1EC,
                      kReserved1ef = 0x1EF, kLaunchTcb = 0x1F0, kLaunchMitVector = 0x1F8,
                      kCurrentMitVector = 0x200, kReserved208 = 0x208, kSignatureR = 0x2A0,
                      kSignatureS = 0x2E8, kSignatureTail = 0x330;
constexpr std::size_t kScalarSize = 48;
constexpr std::uint8_t kMaxStepping = 15;
constexpr std::uint32_t kEcdsaP384Sha384 = 1;

// Offsets below are constants and the size was checked once, so these cannot run over.
template <typename T>
T little(BytesView bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = sizeof(T); i > 0; --i) {
    value = static_cast<T>((static_cast<std::uint64_t>(value) << 8U) | bytes[at + i - 1]);
  }
  return value;
}

template <std::size_t N>
void copy_out(BytesView bytes, std::size_t at, Octets<N>& out) {
  std::memcpy(out.data(), bytes.subspan(at, N).data(), N);
}

FirmwareVersion firmware(BytesView bytes, std::size_t at) {
  return {.build = bytes[at], .minor = bytes[at + 1], .major = bytes[at + 2]};
}

bool is_zero(BytesView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

class Faults {
 public:
  void add(std::string_view field, std::string want, std::string got) {
    out_.push_back({std::string(field), std::move(want), std::move(got)});
  }
  void require_zero(BytesView bytes, std::size_t begin, std::size_t end) {
    const BytesView range = bytes.subspan(begin, end - begin);
    if (is_zero(range)) return;
    const auto first = std::find_if(range.begin(), range.end(), [](auto b) { return b != 0; });
    const auto at = begin + static_cast<std::size_t>(first - range.begin());
    add("reserved", fmt::format("zero at {:#05x}..{:#05x}", begin, end - 1),
        fmt::format("{:02x} at {:#05x}", *first, at));
  }
  std::vector<StructureFault> take() { return std::move(out_); }

 private:
  std::vector<StructureFault> out_;
};

void check_header(const Report& report, Faults& faults) {
  if (report.version < kMinReportVersion || report.version > kMaxReportVersion) {
    faults.add("version", "2..5", fmt::to_string(report.version));
  }
  if (report.signature_algo != kEcdsaP384Sha384) {
    faults.add("signature_algo", "1 (ECDSA P-384 with SHA-384)",
               fmt::to_string(report.signature_algo));
  }
  if (report.vmpl > 3 && report.vmpl != kHostVmpl) {
    faults.add("vmpl", "0..3", fmt::to_string(report.vmpl));
  }
  if (!report.policy.reserved_one()) faults.add("policy", "bit 17 one", "bit 17 zero");
  if (!report.policy.reserved_is_zero()) {
    faults.add("policy", "bits 63:26 zero", fmt::format("{:#x}", report.policy.raw));
  }
  if (!report.key_info.reserved_is_zero()) {
    faults.add("key_info", "bits 31:5 zero", fmt::format("{:#x}", report.key_info.raw));
  }
  if (report.has_cpuid() && report.cpuid.stepping > kMaxStepping) {
    faults.add("cpuid_step", "0..15", fmt::to_string(report.cpuid.stepping));
  }
}

void check_reserved(const Report& report, BytesView bytes, Faults& faults) {
  faults.require_zero(bytes, kReserved4c, kReportData);
  faults.require_zero(bytes, report.has_cpuid() ? kReserved18b : kCpuid, kChipId);
  faults.require_zero(bytes, kReserved1eb, kCommittedVersion);
  faults.require_zero(bytes, kReserved1ef, kLaunchTcb);
  faults.require_zero(bytes, report.has_mitigations() ? kReserved208 : kLaunchMitVector,
                      kSignatureR);
}

// The tail is not signed, and a reader that cuts R and S to 48 octets would never see the rest.
void check_signature_field(BytesView bytes, Faults& faults) {
  const auto require = [&](std::string_view what, std::size_t begin, std::size_t end) {
    if (!is_zero(bytes.subspan(begin, end - begin))) {
      faults.add("signature", fmt::format("{} zero", what), "other octets");
    }
  };
  require("octets 48..71 of R", kSignatureR + kScalarSize, kSignatureS);
  require("octets 48..71 of S", kSignatureS + kScalarSize, kSignatureTail);
  require("octets after S", kSignatureTail, kReportSize);
}

template <typename T>
void put(Octets<kReportSize>& out, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out[at + i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

template <std::size_t N>
void put(Octets<kReportSize>& out, std::size_t at, const Octets<N>& value) {
  std::copy(value.begin(), value.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

void put(Octets<kReportSize>& out, std::size_t at, const FirmwareVersion& version) {
  put(out, at, Octets<3>{version.build, version.minor, version.major});
}

}  // namespace

std::string FirmwareVersion::to_text() const {
  return fmt::format("{}.{}.{}", major, minor, build);
}

TcbLayout Report::likely_layout() const {
  if (has_cpuid()) {
    if (const auto product = product_by_cpuid(cpuid)) return tcb_layout(*product);
  }
  const BytesView id(chip_id);
  const bool short_id = !is_zero(id.first(8)) && is_zero(id.subspan(8));
  return short_id ? TcbLayout::kTurin : TcbLayout::kMilan;
}

Result<Report> decode_report(BytesView bytes) {
  if (bytes.size() != kReportSize) {
    return fail(Code::kInvalidArgument,
                fmt::format("read SNP report: {} bytes, want {}", bytes.size(), kReportSize));
  }
  Report report;
  report.version = little<std::uint32_t>(bytes, kVersion);
  report.guest_svn = little<std::uint32_t>(bytes, kGuestSvn);
  report.policy.raw = little<std::uint64_t>(bytes, kPolicy);
  copy_out(bytes, kFamilyId, report.family_id);
  copy_out(bytes, kImageId, report.image_id);
  report.vmpl = little<std::uint32_t>(bytes, kVmpl);
  report.signature_algo = little<std::uint32_t>(bytes, kSignatureAlgo);
  copy_out(bytes, kCurrentTcb, report.current_tcb);
  report.platform_info.raw = little<std::uint64_t>(bytes, kPlatformInfo);
  report.key_info.raw = little<std::uint32_t>(bytes, kKeyInfo);
  copy_out(bytes, kReportData, report.report_data);
  copy_out(bytes, kMeasurement, report.measurement);
  copy_out(bytes, kHostData, report.host_data);
  copy_out(bytes, kIdKeyDigest, report.id_key_digest);
  copy_out(bytes, kAuthorKeyDigest, report.author_key_digest);
  copy_out(bytes, kReportId, report.report_id);
  copy_out(bytes, kReportIdMa, report.report_id_ma);
  copy_out(bytes, kReportedTcb, report.reported_tcb);
  report.cpuid = {
      .family = bytes[kCpuid], .model = bytes[kCpuid + 1], .stepping = bytes[kCpuid + 2]};
  copy_out(bytes, kChipId, report.chip_id);
  copy_out(bytes, kCommittedTcb, report.committed_tcb);
  report.current_version = firmware(bytes, kCurrentVersion);
  report.committed_version = firmware(bytes, kCommittedVersion);
  copy_out(bytes, kLaunchTcb, report.launch_tcb);
  report.launch_mit_vector = little<std::uint64_t>(bytes, kLaunchMitVector);
  report.current_mit_vector = little<std::uint64_t>(bytes, kCurrentMitVector);
  copy_out(bytes, kSignatureR, report.signature_r);
  copy_out(bytes, kSignatureS, report.signature_s);
  return report;
}

std::vector<StructureFault> structure_faults(const Report& report, BytesView bytes) {
  Faults faults;
  check_header(report, faults);
  check_reserved(report, bytes, faults);
  check_signature_field(bytes, faults);
  return faults.take();
}

Result<Report> parse_report(BytesView bytes) {
  COFFER_TRY(Report report, decode_report(bytes));
  const auto faults = structure_faults(report, bytes);
  if (faults.empty()) return report;
  std::string text;
  for (const auto& fault : faults) {
    text += fmt::format("{}{}: want {}, got {}", text.empty() ? "" : "; ", fault.field, fault.want,
                        fault.got);
  }
  return fail(Code::kInvalidArgument, fmt::format("read SNP report: {}", text));
}

Octets<kReportSize> encode_report(const Report& report) {
  Octets<kReportSize> out{};
  put(out, kVersion, report.version);
  put(out, kGuestSvn, report.guest_svn);
  put(out, kPolicy, report.policy.raw);
  put(out, kFamilyId, report.family_id);
  put(out, kImageId, report.image_id);
  put(out, kVmpl, report.vmpl);
  put(out, kSignatureAlgo, report.signature_algo);
  put(out, kCurrentTcb, report.current_tcb);
  put(out, kPlatformInfo, report.platform_info.raw);
  put(out, kKeyInfo, report.key_info.raw);
  put(out, kReportData, report.report_data);
  put(out, kMeasurement, report.measurement);
  put(out, kHostData, report.host_data);
  put(out, kIdKeyDigest, report.id_key_digest);
  put(out, kAuthorKeyDigest, report.author_key_digest);
  put(out, kReportId, report.report_id);
  put(out, kReportIdMa, report.report_id_ma);
  put(out, kReportedTcb, report.reported_tcb);
  put(out, kCpuid, Octets<3>{report.cpuid.family, report.cpuid.model, report.cpuid.stepping});
  put(out, kChipId, report.chip_id);
  put(out, kCommittedTcb, report.committed_tcb);
  put(out, kCurrentVersion, report.current_version);
  put(out, kCommittedVersion, report.committed_version);
  put(out, kLaunchTcb, report.launch_tcb);
  put(out, kLaunchMitVector, report.launch_mit_vector);
  put(out, kCurrentMitVector, report.current_mit_vector);
  put(out, kSignatureR, report.signature_r);
  put(out, kSignatureS, report.signature_s);
  return out;
}

}  // namespace coffer::snp
