#include "cli/measure_snp.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/fd.h"
#include "cli/evidence_io.h"
#include "cli/kbs_corim.h"
#include "tee/sev-snp/expectations.h"
#include "tee/sev-snp/launch_digest.h"
#include "tee/sev-snp/vcpu.h"

namespace coffer::cli {
namespace {

enum class Mode : std::uint8_t { kSnp, kSvsm, kSevEs, kSev };

constexpr const char* kMeasurement = "snp_launch_measurement";
// A kernel and an initrd may be larger than any other input.
constexpr std::size_t kMaxBoot = std::size_t{2} << 30U;

struct MeasureOptions {
  std::string vcpus, vcpu_type, vcpu_sig, family, model, stepping,
      vmm_type = "QEMU", ovmf, kernel, initrd, append, features = "0x1", ovmf_hash, svsm, vars_size,
      vars_file, kernel_sha256, initrd_sha256, format = "hex";
  std::vector<std::string> appends, vmm_types, feature_values, formats;
  CorimOptions corim;
};

constexpr std::string_view kHelp =
    "Prints the launch digest that a good guest must have. Every input counts to the last byte:\n"
    "the command line is hashed as given, white space included. A kernel and an initrd that are "
    "not\n"
    "at hand may be given by their SHA-256, as a release lists them.\n\n"
    "Example: coffer measure snp --vcpus 2 --vcpu-type EPYC-v4 --ovmf OVMF.amdsev.fd \\\n"
    "           --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0'";

void declare(Options& options, MeasureOptions& o) {
  options.value("--vcpus", &o.vcpus, "number of vCPUs")
      .value("--vcpu-type", &o.vcpu_type, "QEMU's CPU model: EPYC-v4, EPYC-Milan, ...")
      .value("--vcpu-sig", &o.vcpu_sig, "CPUID leaf 1 EAX, instead of a type")
      .value("--vcpu-family", &o.family, "with --vcpu-model and --vcpu-stepping, instead of a type")
      .value("--vcpu-model", &o.model, "see --vcpu-family")
      .value("--vcpu-stepping", &o.stepping, "see --vcpu-family")
      .value("--ovmf", &o.ovmf, "firmware image")
      .value("--kernel", &o.kernel, "kernel for direct boot")
      .value("--initrd", &o.initrd, "its initrd")
      .value("--kernel-sha256", &o.kernel_sha256, "the kernel's digest, instead of its file")
      .value("--initrd-sha256", &o.initrd_sha256, "the initrd's digest, instead of its file")
      .values("--append", &o.appends, "its command line")
      .values("--guest-features", &o.feature_values, "SEV_FEATURES, default 0x1")
      .values("--vmm-type", &o.vmm_types, "QEMU (default), ec2, gce or krun")
      .value("--snp-ovmf-hash", &o.ovmf_hash, "digest after the firmware's pages, if known already")
      .value("--svsm", &o.svsm, "COCONUT-SVSM image (snp-svsm)")
      .value("--vars-size", &o.vars_size, "size of the variable store below OVMF (snp-svsm)")
      .value("--vars-file", &o.vars_file, "the variable store, for its size (snp-svsm)")
      .values("--output-format", &o.formats,
              "hex (default), base64, json, or of SNP reference-values or corim");
  declare_corim(options, o.corim);
}

Result<std::uint32_t> to_number32(std::string_view option, std::string_view text) {
  COFFER_TRY(const std::uint64_t value, to_number(option, text));
  if (value <= 0xFFFFFFFF) return static_cast<std::uint32_t>(value);
  return fail(Code::kInvalidArgument, fmt::format("option '{}': '{}' is too large", option, text));
}

// An option that has a default and may be given once.
Status take_single(std::string_view option, std::vector<std::string>& given, std::string& out) {
  if (given.size() > 1) {
    return fail(Code::kInvalidArgument, fmt::format("option '{}': given twice", option));
  }
  if (!given.empty()) out = std::move(given.front());
  return {};
}

Status check_kernel(const MeasureOptions& o) {
  const bool no_kernel = o.kernel.empty() && o.kernel_sha256.empty();
  if (no_kernel && !(o.initrd + o.initrd_sha256 + o.append).empty()) {
    return fail(Code::kInvalidArgument, "options '--initrd' and '--append': need --kernel");
  }
  if (!o.kernel.empty() && !o.kernel_sha256.empty()) {
    return fail(Code::kInvalidArgument, "option '--kernel-sha256': --kernel is given too");
  }
  if (!o.initrd.empty() && !o.initrd_sha256.empty()) {
    return fail(Code::kInvalidArgument, "option '--initrd-sha256': --initrd is given too");
  }
  return {};
}

Status apply_defaults(MeasureOptions& o) {
  COFFER_TRY_VOID(take_single("--append", o.appends, o.append));
  COFFER_TRY_VOID(take_single("--guest-features", o.feature_values, o.features));
  COFFER_TRY_VOID(take_single("--vmm-type", o.vmm_types, o.vmm_type));
  COFFER_TRY_VOID(take_single("--output-format", o.formats, o.format));
  if (o.format != "hex" && o.format != "base64" && o.format != "json" &&
      !is_values_format(o.format)) {
    return fail(Code::kInvalidArgument,
                fmt::format("option '--output-format': '{}', want hex, base64, json, "
                            "reference-values or corim",
                            o.format));
  }
  if (o.ovmf.empty()) return fail(Code::kInvalidArgument, "option '--ovmf': missing");
  return check_kernel(o);
}

Result<std::uint32_t> signature_of(const MeasureOptions& o, snp::Vmm vmm) {
  if (!o.vcpu_sig.empty()) return to_number32("--vcpu-sig", o.vcpu_sig);
  if (!o.vcpu_type.empty()) return snp::vcpu_signature_of(o.vcpu_type);
  if (!o.family.empty() || !o.model.empty() || !o.stepping.empty()) {
    COFFER_TRY(const std::uint32_t family, to_number32("--vcpu-family", o.family));
    COFFER_TRY(const std::uint32_t model, to_number32("--vcpu-model", o.model));
    COFFER_TRY(const std::uint32_t stepping, to_number32("--vcpu-stepping", o.stepping));
    if (family > 0x10E || model > 0xFF || stepping > 0xF) {
      return fail(Code::kInvalidArgument, "vCPU family, model or stepping: too large");
    }
    return snp::vcpu_signature(family, model, stepping);
  }
  if (vmm != snp::Vmm::kQemu) return 0;
  return fail(
      Code::kInvalidArgument,
      "vCPU model: missing (give --vcpu-type, --vcpu-sig or --vcpu-family/-model/-stepping)");
}

Result<snp::GuestCpus> cpus_of(const MeasureOptions& o) {
  snp::GuestCpus out;
  if (o.vcpus.empty()) return fail(Code::kInvalidArgument, "option '--vcpus': missing");
  COFFER_TRY(out.count, to_number32("--vcpus", o.vcpus));
  COFFER_TRY(out.vmm, snp::vmm_by_name(o.vmm_type));
  COFFER_TRY(out.signature, signature_of(o, out.vmm));
  COFFER_TRY(out.sev_features, to_number("--guest-features", o.features));
  return out;
}

// Replaces the digest of a file that is not at hand.
Status take_digest(std::string_view option, const std::string& hex, tee::Digest256& out) {
  if (hex.empty()) return {};
  COFFER_TRY(const Bytes digest, snp::parse_octets(hex, out.size(), false, option));
  std::ranges::copy(digest, out.begin());
  return {};
}

Result<std::string> read_boot(const std::string& path) {
  if (path.empty()) return std::string();
  return read_file(path, kMaxBoot);
}

Result<std::optional<snp::KernelHashes>> kernel_of(const MeasureOptions& o) {
  if (o.kernel.empty() && o.kernel_sha256.empty()) return std::optional<snp::KernelHashes>{};
  COFFER_TRY(const std::string kernel, read_boot(o.kernel));
  COFFER_TRY(const std::string initrd, read_boot(o.initrd));
  snp::KernelHashes out = snp::hash_kernel(as_bytes(kernel), as_bytes(initrd), o.append);
  COFFER_TRY_VOID(take_digest("--kernel-sha256", o.kernel_sha256, out.kernel));
  COFFER_TRY_VOID(take_digest("--initrd-sha256", o.initrd_sha256, out.initrd));
  return std::optional(out);
}

struct Measurement {
  Bytes digest;
  nlohmann::json inputs = nlohmann::json::object();
};

void describe(const snp::GuestCpus& cpus, const MeasureOptions& o, nlohmann::json& out) {
  out["vcpus"] = cpus.count;
  out["vcpu_signature"] = fmt::format("{:#x}", cpus.signature);
  out["vmm_type"] = o.vmm_type;
  out["guest_features"] = fmt::format("{:#x}", cpus.sev_features);
}

void describe(const std::optional<snp::KernelHashes>& kernel, const MeasureOptions& o,
              nlohmann::json& out) {
  if (!kernel) return;
  out["kernel_sha256"] = to_hex(kernel->kernel);
  out["initrd_sha256"] = to_hex(kernel->initrd);
  out["cmdline"] = o.append;
}

void describe(const snp::SevMetadata& metadata, nlohmann::json& out) {
  auto& firmware = out["firmware"];
  firmware["sections"] = nlohmann::json::array();
  for (const auto& section : metadata.sections) {
    firmware["sections"].push_back({{"gpa", fmt::format("{:#x}", section.gpa)},
                                    {"size", fmt::format("{:#x}", section.size)},
                                    {"type", static_cast<std::uint32_t>(section.type)}});
  }
  const auto place = [&](const char* name, std::optional<std::uint32_t> value) {
    firmware[name] = value ? nlohmann::json(fmt::format("{:#x}", *value)) : nlohmann::json(nullptr);
  };
  place("ap_reset_eip", metadata.ap_reset_eip);
  place("hashes_table_gpa", metadata.hashes_table_gpa);
}

Result<Measurement> measure_snp(const MeasureOptions& o) {
  COFFER_TRY(const snp::GuestCpus cpus, cpus_of(o));
  COFFER_TRY(const Bytes ovmf, read_bytes(o.ovmf));
  snp::SnpLaunch launch;
  COFFER_TRY(launch.kernel, kernel_of(o));
  COFFER_TRY(launch.metadata, snp::parse_sev_metadata(ovmf));
  if (o.ovmf_hash.empty()) {
    COFFER_TRY(launch.firmware, snp::measure_firmware(ovmf));
  } else {
    COFFER_TRY(const Bytes seed, snp::parse_octets(o.ovmf_hash, 48, false, "--snp-ovmf-hash"));
    std::ranges::copy(seed, launch.firmware.begin());
  }
  COFFER_TRY(const snp::LaunchDigest digest, snp::snp_launch_digest(launch, cpus));
  Measurement out{.digest = Bytes(digest.begin(), digest.end())};
  describe(cpus, o, out.inputs);
  describe(launch.kernel, o, out.inputs);
  describe(launch.metadata, out.inputs);
  out.inputs["ovmf_hash"] = to_hex(launch.firmware);
  return out;
}

Result<std::uint64_t> vars_size_of(const MeasureOptions& o) {
  if (!o.vars_size.empty()) return to_number("--vars-size", o.vars_size);
  if (o.vars_file.empty()) {
    return fail(Code::kInvalidArgument, "options '--vars-size' and '--vars-file': one is needed");
  }
  COFFER_TRY(const Bytes vars, read_bytes(o.vars_file));
  return vars.size();
}

Result<Measurement> measure_svsm(const MeasureOptions& o) {
  if (o.svsm.empty()) return fail(Code::kInvalidArgument, "option '--svsm': missing");
  COFFER_TRY(const snp::GuestCpus cpus, cpus_of(o));
  COFFER_TRY(const std::uint64_t vars_size, vars_size_of(o));
  COFFER_TRY(const Bytes ovmf, read_bytes(o.ovmf));
  COFFER_TRY(const Bytes svsm, read_bytes(o.svsm));
  COFFER_TRY(const snp::LaunchDigest digest, snp::svsm_launch_digest(ovmf, svsm, vars_size, cpus));
  Measurement out{.digest = Bytes(digest.begin(), digest.end())};
  describe(cpus, o, out.inputs);
  out.inputs["vars_size"] = vars_size;
  return out;
}

Result<Measurement> measure_legacy(const MeasureOptions& o, Mode mode) {
  COFFER_TRY(const Bytes ovmf, read_bytes(o.ovmf));
  COFFER_TRY(const auto kernel, kernel_of(o));
  Measurement out;
  describe(kernel, o, out.inputs);
  tee::Digest256 digest{};
  if (mode == Mode::kSev) {
    COFFER_TRY(digest, snp::sev_digest(ovmf, kernel));
  } else {
    COFFER_TRY(const snp::GuestCpus cpus, cpus_of(o));
    COFFER_TRY(digest, snp::sev_es_digest(ovmf, kernel, cpus));
    describe(cpus, o, out.inputs);
    out.inputs["guest_features"] = "0x0";
  }
  out.digest = Bytes(digest.begin(), digest.end());
  return out;
}

Result<Measurement> measure(const MeasureOptions& o, Mode mode) {
  switch (mode) {
    case Mode::kSnp:
      return measure_snp(o);
    case Mode::kSvsm:
      return measure_svsm(o);
    case Mode::kSevEs:
    case Mode::kSev:
      break;
  }
  return measure_legacy(o, mode);
}

int run(std::string_view name, Mode mode, Args args) {
  MeasureOptions o;
  Options options(fmt::format("measure {} --ovmf FW.fd --vcpus N --vcpu-type T [OPTION...]", name),
                  kHelp);
  declare(options, o);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (const auto status = apply_defaults(o); !status) return report(status.error());
  const bool snp = mode == Mode::kSnp || mode == Mode::kSvsm;
  if (is_values_format(o.format) && !snp) {
    return report(Error(Code::kInvalidArgument,
                        fmt::format("option '--output-format': {} is for snp and snp-svsm: no "
                                    "policy asks for the others' values",
                                    o.format)));
  }
  const auto measured = measure(o, mode);
  if (!measured) return report(measured.error());
  if (is_values_format(o.format)) {
    const nlohmann::json values = {{kMeasurement, {to_hex(measured->digest)}}};
    const auto text =
        format_values(o.format, values, fmt::format("coffer measure {}", name), o.corim);
    if (!text) return report(text.error());
    fmt::print("{}", *text);
    return kExitOk;
  }
  if (o.format == "json") {
    nlohmann::json out = measured->inputs;
    out["mode"] = name;
    out["launch_digest"] = to_hex(measured->digest);
    out["measurement"] = out["launch_digest"];
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}\n", o.format == "hex" ? to_hex(measured->digest) : to_base64(measured->digest));
  }
  return kExitOk;
}

Command command(std::string_view name, std::string_view last, Mode mode, std::string_view summary) {
  return {.name = name, .summary = summary, .run = [last, mode](Args args) {
            return run(last, mode, args);
          }};
}

}  // namespace

Result<nlohmann::json> snp_reference_values(const SnpBoot& boot) {
  MeasureOptions o;
  o.ovmf = boot.firmware;
  o.kernel = boot.kernel;
  o.initrd = boot.initrd;
  o.append = boot.append;
  o.vcpu_type = boot.vcpu_type;
  auto values = nlohmann::json::array();
  for (const auto& vcpus : boot.vcpus) {
    o.vcpus = vcpus;
    COFFER_TRY(const Measurement measured, measure_snp(o));
    values.push_back(to_hex(measured.digest));
  }
  return nlohmann::json{{kMeasurement, std::move(values)}};
}

std::vector<Command> measure_snp_commands() {
  return {command("measure snp", "snp", Mode::kSnp, "expected MEASUREMENT of an SEV-SNP guest"),
          command("measure snp-svsm", "snp-svsm", Mode::kSvsm,
                  "expected MEASUREMENT of an SEV-SNP guest below COCONUT-SVSM"),
          command("measure seves", "seves", Mode::kSevEs, "expected digest of an SEV-ES guest"),
          command("measure sev", "sev", Mode::kSev, "expected digest of an SEV guest")};
}

}  // namespace coffer::cli
