#include "cli/image_values.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/measure_snp.h"
#include "cli/measure_tdx.h"
#include "cli/measure_tpm.h"

namespace coffer::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr unsigned kMode = 0644;

bool is_asked_for(const ImageMeasure& measure) {
  return !(measure.snp_firmware + measure.tdx_firmware + measure.tpm_memory).empty();
}

Result<Json> values_of(const ImageMeasure& measure, const MeasuredImage& image) {
  Json out = Json::object();
  if (!measure.snp_firmware.empty()) {
    SnpBoot boot{.firmware = measure.snp_firmware,
                 .kernel = image.kernel,
                 .initrd = image.initrd,
                 .append = measure.append,
                 .vcpu_type = measure.vcpu_type,
                 .vcpus = measure.vcpus};
    if (boot.vcpus.empty()) boot.vcpus.emplace_back("1");
    COFFER_TRY(const Json values, snp_reference_values(boot));
    out.update(values);
  }
  if (!measure.tdx_firmware.empty()) {
    COFFER_TRY(const Json values, tdx_reference_values({.firmware = measure.tdx_firmware,
                                                        .kernel = image.kernel,
                                                        .initrd = image.initrd,
                                                        .append = measure.append}));
    out.update(values);
  }
  if (!measure.tpm_memory.empty()) {
    COFFER_TRY(const Json values, tpm_reference_values({.kernel = image.kernel,
                                                        .initrd = image.initrd,
                                                        .append = measure.append,
                                                        .memory = measure.tpm_memory,
                                                        .reference = {}}));
    out.update(values);
  }
  return out;
}

}  // namespace

void declare_image_measure(Options& options, ImageMeasure& measure) {
  options
      .value("--measure-snp", &measure.snp_firmware,
             "FIRMWARE: write the reference values of SNP guests that boot the image with it")
      .value("--measure-tdx", &measure.tdx_firmware, "FIRMWARE: the same of TDX guests")
      .value("--measure-tpm", &measure.tpm_memory,
             "MEMORY, such as 2G: the same of plain VMs with a TPM")
      .value("--append", &measure.append, "the command line that these boot it with")
      .values("--vcpus", &measure.vcpus, "how many an SNP guest may have (1; repeatable)")
      .value("--vcpu-type", &measure.vcpu_type, "the SNP guest's CPU model (EPYC-v4)");
  declare_corim(options, measure.corim);
}

Status check_image_measure(const ImageMeasure& measure) {
  if (!is_asked_for(measure) && !(measure.append + measure.corim.key_file).empty()) {
    return fail(Code::kInvalidArgument,
                "options '--append' and '--corim-key': need --measure-snp, --measure-tdx or "
                "--measure-tpm");
  }
  if (measure.snp_firmware.empty() && !measure.vcpus.empty()) {
    return fail(Code::kInvalidArgument, "option '--vcpus': needs --measure-snp");
  }
  return {};
}

Result<std::vector<fs::path>> write_image_values(const ImageMeasure& measure,
                                                 const MeasuredImage& image) {
  std::vector<fs::path> out;
  if (!is_asked_for(measure)) return out;
  COFFER_TRY(const Json values, values_of(measure, image));
  for (const auto& [format, extension] :
       {std::pair("reference-values", ".values.json"), std::pair("corim", ".values.corim")}) {
    COFFER_TRY(const std::string text, format_values(format, values, image.source, measure.corim));
    fs::path file = image.initrd;
    file.replace_extension(extension);
    COFFER_TRY_VOID(write_file_atomic(file, text, kMode));
    out.push_back(std::move(file));
  }
  return out;
}

}  // namespace coffer::cli
