/* What monitors say, a part of driver.c. */
#if @TOP@_MEMORIES > 0
void @top@_faults(int wrong[@TOP@_MEMORIES], int corrected[@TOP@_MEMORIES])
{
    for (size_t k = 0; k < @TOP@_MEMORIES; k++) {
        const uint32_t at = FAULTY + (uint32_t)(k / 32 * 8);
        wrong[k] = (int)(in(at) >> k % 32 & 1);
        corrected[k] = (int)(in(at + 4) >> k % 32 & 1);
    }
}
#endif

#if @TOP@_RANGES > 0
static double signed_word(uint32_t at, int frac)
{
    return ldexp((double)(int32_t)in(at), -frac);
}

void @top@_ranges(struct @top@_range found[@TOP@_RANGES])
{
    for (size_t k = 0; k < @TOP@_RANGES; k++) {
        const struct watch *of = &watches[k];
        const uint32_t at = of->at;
        double total = 0;
        out(PAGE, of->page);
        found[k] = (struct @top@_range){
            of->name, signed_word(at, of->frac), signed_word(at + 4, of->frac), {of->expected[0], of->expected[1]}, in(at + 8), {0}, 0};
        for (size_t bin = 0; bin < 8; bin++) {
            found[k].bins[bin] = in(at + 32 + 4 * (uint32_t)bin);
            total += found[k].bins[bin];
        }
        for (size_t bin = 0; bin < 8 && of->is_calibrated && total > 0; bin++) {
            found[k].drift += fabs(found[k].bins[bin] / total - of->shares[bin]) / 2;
        }
    }
}
#endif
