#include "tee/sev-snp/report.h"

#include <algorithm>

#include "tests/tee/sev-snp/fake_machine.h"

namespace coffer::snp {
namespace {

Bytes bytes_of(const Report& report) {
  const auto bytes = encode_report(report);
  return {bytes.begin(), bytes.end()};
}

TEST(Report, IsReadAsItWasWritten) {
  for (const std::uint32_t version : {2U, 3U, 4U, 5U}) {
    Report report = amd().report(version);
    report.guest_svn = 9;
    report.measurement.fill(0xAA);
    if (version == 5) report.launch_mit_vector = 0x3F;
    const auto read = parse_report(bytes_of(report));
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(bytes_of(*read), bytes_of(report));
    EXPECT_EQ(read->launch_mit_vector, report.launch_mit_vector);
  }
}

TEST(Report, RefusesOtherLengths) {
  const Bytes good = bytes_of(amd().report());
  EXPECT_FALSE(parse_report({}));
  EXPECT_FALSE(parse_report(BytesView(good).first(kReportSize - 1)));
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(parse_report(longer));
}

struct Fault {
  std::string_view what;
  std::uint32_t version;
  std::size_t at;
  std::uint8_t value;
  std::string_view field;
};

TEST(Report, RefusesWhatItsVersionDoesNotDefine) {
  const std::vector<Fault> faults{
      {"version 1", 3, 0x000, 1, "version"},
      {"version 6", 3, 0x000, 6, "version"},
      {"version in the high octet", 3, 0x003, 0x80, "version"},
      {"algorithm 0", 3, 0x034, 0, "signature_algo"},
      {"algorithm 2", 3, 0x034, 2, "signature_algo"},
      {"VMPL 4", 3, 0x030, 4, "vmpl"},
      {"policy bit 17 clear", 3, 0x00A, 1, "policy"},
      {"policy bit 26", 3, 0x00B, 4, "policy"},
      {"policy bit 63", 3, 0x00F, 0x80, "policy"},
      {"key info bit 5", 3, 0x048, 0x20, "key_info"},
      {"key info bit 31", 3, 0x04B, 0x80, "key_info"},
      {"after key info", 3, 0x04C, 1, "reserved"},
      {"CPUID in version 2", 2, 0x188, 1, "reserved"},
      {"after CPUID", 3, 0x18B, 1, "reserved"},
      {"before chip id", 3, 0x19F, 1, "reserved"},
      {"after current version", 3, 0x1EB, 1, "reserved"},
      {"after committed version", 3, 0x1EF, 1, "reserved"},
      {"mitigations in version 3", 3, 0x1F8, 1, "reserved"},
      {"mitigations in version 4", 4, 0x207, 1, "reserved"},
      {"after mitigations", 5, 0x208, 1, "reserved"},
      {"last signed octet", 5, 0x29F, 1, "reserved"},
      {"stepping 16", 3, 0x18A, 16, "cpuid_step"},
      {"octet 48 of R", 3, 0x2D0, 1, "signature"},
      {"octet 71 of S", 3, 0x32F, 1, "signature"},
      {"after S", 3, 0x330, 1, "signature"},
      {"last octet", 3, 0x49F, 1, "signature"},
  };
  for (const auto& fault : faults) {
    Bytes bytes = bytes_of(amd().report(fault.version));
    bytes[fault.at] = fault.value;
    const auto found = structure_faults(*decode_report(bytes), bytes);
    ASSERT_FALSE(found.empty()) << fault.what;
    EXPECT_EQ(found.front().field, fault.field) << fault.what;
    EXPECT_FALSE(parse_report(bytes)) << fault.what;
  }
}

TEST(Report, MitigationVectorsAreAllowedInVersion5Only) {
  Bytes bytes = bytes_of(amd().report(5));
  bytes[0x1F8] = 0x3F;
  bytes[0x200] = 0x3F;
  EXPECT_TRUE(parse_report(bytes));
}

TEST(Report, UnknownPlatformInfoIsKeptAndNotRefused) {
  Report report = amd().report();
  report.platform_info.raw = 0x8000000000000067;
  EXPECT_EQ(parse_report(bytes_of(report))->platform_info.raw, 0x8000000000000067U);
}

TEST(Report, AllFaultsAreReportedTogether) {
  Bytes bytes = bytes_of(amd().report());
  bytes[0x000] = 9;
  bytes[0x04C] = 1;
  const auto read = parse_report(bytes);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message().find("version"), std::string::npos);
  EXPECT_NE(read.error().message().find("reserved"), std::string::npos);
}

TEST(Tcb, LayoutsPutThePartsElsewhere) {
  const TcbBytes bytes{1, 2, 3, 4, 0, 0, 5, 6};
  const Tcb milan = decode_tcb(bytes, TcbLayout::kMilan);
  EXPECT_EQ(milan, (Tcb{.fmc = {}, .boot_loader = 1, .tee = 2, .snp = 5, .microcode = 6}));
  const Tcb turin = decode_tcb(bytes, TcbLayout::kTurin);
  EXPECT_EQ(turin, (Tcb{.fmc = 1, .boot_loader = 2, .tee = 3, .snp = 4, .microcode = 6}));
  EXPECT_FALSE(tcb_reserved_is_zero(bytes, TcbLayout::kMilan));
  EXPECT_FALSE(tcb_reserved_is_zero(bytes, TcbLayout::kTurin));
  EXPECT_TRUE(tcb_reserved_is_zero(encode_tcb(turin, TcbLayout::kTurin), TcbLayout::kTurin));
}

TEST(Tcb, IsComparedPartByPart) {
  const Tcb minimum{.fmc = {}, .boot_loader = 5, .tee = 0, .snp = 0, .microcode = 0};
  const Tcb higher_elsewhere{.fmc = {}, .boot_loader = 4, .tee = 9, .snp = 99, .microcode = 255};
  EXPECT_FALSE(higher_elsewhere.at_least(minimum));
  EXPECT_TRUE(minimum.at_least(minimum));
  EXPECT_TRUE((Tcb{.fmc = 1}).at_least(Tcb{}));
  EXPECT_FALSE((Tcb{}).at_least(Tcb{.fmc = 1}));
}

TEST(Product, IsKnownByItsCpuid) {
  EXPECT_EQ(product_by_cpuid({.family = 0x19, .model = 0x0F}), Product::kMilan);
  EXPECT_EQ(product_by_cpuid({.family = 0x19, .model = 0x10}), Product::kGenoa);
  EXPECT_EQ(product_by_cpuid({.family = 0x19, .model = 0xA0}), Product::kGenoa);
  EXPECT_EQ(product_by_cpuid({.family = 0x19, .model = 0xAF}), Product::kGenoa);
  EXPECT_EQ(product_by_cpuid({.family = 0x1A, .model = 0x11}), Product::kTurin);
  EXPECT_EQ(product_by_cpuid({.family = 0x19, .model = 0x20}), std::nullopt);
  EXPECT_EQ(product_by_cpuid({.family = 0x1A, .model = 0x50}), std::nullopt);
  EXPECT_EQ(product_by_cpuid({.family = 0x17, .model = 0x31}), std::nullopt);
}

}  // namespace
}  // namespace coffer::snp
