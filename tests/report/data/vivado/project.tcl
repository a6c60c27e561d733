variable project_name
set project_name "jet"
variable backend
set backend "vivado"
variable part
set part "xc7z010clg225-1"
